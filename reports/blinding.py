"""Keeps the treatment arm out of exports: no column may have a name under which one could be carried."""

import re
from collections.abc import Iterable
from typing import Final

from protocol.errors import DaybookError
from protocol.model import Protocol
from reports.tables import Table

# Words under which trials keep what must not be known here. "Treatment" and "group" alone say less, and are refused
# only as a whole name or beside a word such as "code".
_ALWAYS: Final = frozenset((
    "arm", "arms", "armcd", "actarm", "actarmcd", "allocation", "allocated", "kit", "kits", "randomisation",
    "randomization", "randomised", "randomized", "placebo", "verum", "unblinding", "unblinded",
))  # fmt: skip
_ALONE: Final = frozenset(("treatment", "group", "trt"))
_BESIDE: Final = frozenset(("code", "id", "number", "no", "assigned", "group", "treatment", "trt"))


def refuse_arms(protocol: Protocol, tables: Iterable[Table]) -> None:
    """Raise where a column, an item or a measure has a name that could carry an arm."""
    names = [column.name for table in tables for column in table.columns]
    names += [item.id for _, item in protocol.items()] + [measure.id for measure in protocol.measure]
    for name in names:
        if could_carry_an_arm(name):
            raise DaybookError(
                f'The export would tell "{name}", which could carry a treatment arm, and the diary must not know '
                "any; nothing was written. Give it another id in a new version of the protocol."
            )


def could_carry_an_arm(name: str) -> bool:
    """Tell whether a name is one of those under which trials keep what must not be known here."""
    words = re.split(r"[^a-z]+", name.lower())
    kept = set(words) - {""}
    return bool(kept & _ALWAYS) or (bool(kept & _ALONE) and kept <= _ALONE | _BESIDE)
