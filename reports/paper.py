"""Tables as a paper prints them: values in cells, shown as text and on a page, and taken apart for programs."""

import base64
import csv
import hashlib
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final, TypeAlias

from reports.columns import guarded
from reports.comparison import Difference, Mean
from reports.definitions import Share

Cell: TypeAlias = str | int | Mean | Share | Difference | None
Value: TypeAlias = int | float | None

_NONE: Final = "-"
_MINUS: Final = "\N{MINUS SIGN}"
_LEAST_P: Final = 0.001
_WIDTH: Final = 110


@dataclass(frozen=True, slots=True)
class Section:
    """One table with its title, a note on how to read it, its head and its rows; a row's texts are its labels."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


def shown(cell: Cell) -> str:
    """A cell as it is read: mean (SD), n; n/N (%); difference (95 % CI); p."""
    match cell:
        case None:
            return ""
        case Mean():
            return f"{_figure(cell.mean)} ({_figure(cell.sd)}), {cell.n}" if cell.n else f"{_NONE}, 0"
        case Share():
            rate = f" ({100 * cell.rate:.1f} %)" if cell.rate is not None else ""
            return f"{cell.numerator}/{cell.denominator}{rate}"
        case Difference():
            return _shown_difference(cell)
        case _:
            return str(cell)


def _shown_difference(found: Difference) -> str:
    reach = "" if found.low is None else f" ({_figure(found.low)} to {_figure(found.high)})"
    p = "" if found.p is None else f"; {_shown_p(found.p)}"
    return f"{_figure(found.value)}{reach}{p}"


def _shown_p(p: float) -> str:
    return f"p < {_LEAST_P}" if p < _LEAST_P else f"p = {p:.3f}"


def _figure(value: float | None) -> str:
    """A number with one decimal place."""
    text = _NONE if value is None else f"{value:.1f}"
    return "0.0" if text == "-0.0" else text


def taken_apart(cell: Cell) -> dict[str, Value]:
    """The figures of a cell, each with its name; a label has none."""
    match cell:
        case Mean():
            return {"n": cell.n, "mean": cell.mean, "sd": cell.sd}
        case Share():
            return {"numerator": cell.numerator, "denominator": cell.denominator, "rate": cell.rate}
        case Difference():
            return {"difference": cell.value, "low": cell.low, "high": cell.high, "p": cell.p}
        case int():
            return {"count": cell}
        case _:
            return {}


def as_values(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """Every table for programs: labels as text, each other cell as its figures."""
    return [
        {
            "title": section.title,
            "note": section.note,
            "rows": [
                {head: taken_apart(cell) or cell for head, cell in zip(section.head, row, strict=True)}
                for row in section.rows
            ],
        }
        for section in sections
    ]


def as_csv(sections: Iterable[Section]) -> str:
    """Every figure as a line: which table, row and column it is in, what it is, and its value unrounded."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("table", "row", "column", "figure", "value"))
    for section in sections:
        for row in section.rows:
            label = ", ".join(cell for cell in row if isinstance(cell, str))
            for head, cell in zip(section.head, row, strict=True):
                for name, value in taken_apart(cell).items():
                    place = (guarded(text) for text in (section.title, label, head, name))
                    writer.writerow((*place, "" if value is None else f"{value:.10g}"))
    return out.getvalue()


def as_text(title: str, about: str, sections: Iterable[Section]) -> str:
    """Every table for a terminal."""
    return "\n\n".join([f"{title}\n{about}", *(_text_of(section) for section in sections)]) + "\n"


def _text_of(section: Section) -> str:
    lines = [section.head, *(tuple(map(shown, row)) for row in section.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    return "\n".join([section.title, "", *table, "", textwrap.fill(section.note, _WIDTH)])


_STYLE: Final = """
body { font: 15px/1.45 Georgia, "Noto Serif", serif; color: #1b1f24; background: #fff; margin: 2rem auto;
       max-width: 64rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin: 2.4rem 0 .4rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid;
       font-variant-numeric: lining-nums tabular-nums }
th, td { text-align: start; padding: .3rem 1.6rem .3rem 0; vertical-align: top }
td { white-space: nowrap } thead th { border-bottom: 1px solid; font-weight: 600 } tbody th { font-weight: 400 }
p, figcaption { color: #444c56; margin: .4rem 0; max-width: 48rem } figure { margin: 1.2rem 0 0 }
img { max-width: 100%; height: auto }
@media print { @page { size: A4 landscape; margin: 15mm } body { margin: 0; max-width: none; font-size: 10pt }
       h2 { break-after: avoid } section { break-inside: avoid } .scroll { overflow: visible } }
"""


def as_page(title: str, about: str, sections: Iterable[Section], drawings: Mapping[str, bytes]) -> str:
    """A page by itself, to be read on a screen or printed; `drawings` are SVG by the title of their section."""
    parts = as_html(sections, drawings)
    body = f"<main><h1>{escape(title)}</h1>\n<p>{escape(about)}</p>\n{parts}\n</main>"
    return as_document(title, _STYLE, body)


def as_document(title: str, style: str, body: str) -> str:
    """A document of HTML by itself, with nothing to fetch; `body` is markup, the title a text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{style}</style></head>\n<body>{body}</body></html>\n"
    )


def as_html(sections: Iterable[Section], drawings: Mapping[str, bytes]) -> str:
    """The tables and drawings alone, for a page that has more to say."""
    return "\n".join(_html_of(section, drawings.get(section.title)) for section in sections)


def _html_of(section: Section, drawing: bytes | None) -> str:
    name = hashlib.sha256(section.title.encode()).hexdigest()[:8]
    head = "".join(f'<th scope="col">{escape(cell) or "&nbsp;"}</th>' for cell in section.head)
    rows = "\n".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in section.rows)
    return (
        f'<section><h2 id="t{name}">{escape(section.title)}</h2>\n'
        # Whatever scrolls can be reached by the keyboard.
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="t{name}">'
        f'<table aria-labelledby="t{name}"><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n'
        f"<p>{escape(section.note)}</p>{_html_figure(section.title, drawing) if drawing else ''}</section>"
    )


def _html_cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f'<th scope="row">{escape(cell)}</th>'
    return f"<td>{escape(shown(cell)).replace('-', _MINUS)}</td>"


def _html_figure(title: str, drawing: bytes) -> str:
    source = base64.b64encode(drawing).decode("ascii")
    alt = f"{escape(title)} over the visits by arm; the table above has the values."
    return (
        f'<figure><img src="data:image/svg+xml;base64,{source}" alt="{alt}">'
        f"<figcaption>{escape(title)}: mean of each arm at the visits with its 95 % confidence interval, and the "
        "number of patients measured.</figcaption></figure>"
    )
