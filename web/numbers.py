"""Reads the ids and numbers of addresses and forms, which anybody can write by hand."""

from typing import Final

from starlette.convertors import Convertor, register_url_convertor

ID_DIGITS: Final = 18  # whatever they are, the database's integers hold them


def number_of(text: str, *, digits: int) -> int | None:
    """A whole number of at most so many digits, 0 to 9; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


class _Id(Convertor[int]):
    """An id in an address; one that could be none makes an address that is not there."""

    regex = f"[0-9]{{1,{ID_DIGITS}}}"

    def convert(self, value: str) -> int:
        """Read it."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Write it."""
        return str(value)


register_url_convertor("id", _Id())
