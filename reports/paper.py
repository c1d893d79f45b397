"""Tables as a paper prints them: the figures' form, and each table as text, CSV or a page that can be printed."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from reports.columns import guarded
from reports.comparison import Difference, Mean
from reports.definitions import Share

_NONE = "-"
_LEAST_P = 0.001


@dataclass(frozen=True, slots=True)
class Section:
    """One table with its title, a note on how to read it, its head and its rows."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def figure(value: float | None) -> str:
    """A number with one decimal place."""
    return _NONE if value is None else f"{value:.1f}".replace("-0.0", "0.0")


def spread(sample: Mean) -> str:
    """Mean (SD), and of how many."""
    return f"{figure(sample.mean)} ({figure(sample.sd)}), {sample.n}"


def interval(found: Difference, *, scale: int = 1) -> str:
    """A difference with its interval."""
    if found.value is None:
        return _NONE
    if found.low is None or found.high is None:
        return figure(found.value * scale)
    return f"{figure(found.value * scale)} ({figure(found.low * scale)} to {figure(found.high * scale)})"


def p_value(p: float | None) -> str:
    """A p value with three places, or that it is smaller."""
    if p is None:
        return _NONE
    return f"<{_LEAST_P}" if p < _LEAST_P else f"{p:.3f}"


def per_cent(share: Share) -> str:
    """A share with its numerator and denominator."""
    return count(share.numerator, share.denominator)


def count(part: int, whole: int) -> str:
    """The same of two numbers."""
    return f"{part}/{whole} ({100 * part / whole:.1f} %)" if whole else f"{part}/{whole}"


def as_text(title: str, sections: Iterable[Section]) -> str:
    """Every table for a terminal."""
    return "\n\n".join([title, *(_text_of(section) for section in sections)]) + "\n"


def _text_of(section: Section) -> str:
    lines = [section.head, *section.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    return "\n".join([section.title, "", *shown, "", section.note])


def as_csv(sections: Iterable[Section]) -> str:
    """Every cell as a line: table, row, column, value."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("table", "row", "column", "value"))
    for section in sections:
        for number, row in enumerate(section.rows, start=1):
            cells = zip(section.head, row, strict=True)
            writer.writerows((section.title, number, head, guarded(cell)) for head, cell in cells)
    return out.getvalue()


_STYLE = """
body { font: 15px/1.45 Georgia, "Noto Serif", serif; color: #1b1f24; background: #fff; margin: 2rem auto;
       max-width: 64rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid;
       font-variant-numeric: tabular-nums; width: 100% }
th, td { text-align: start; padding: .3rem .8rem .3rem 0; vertical-align: top }
thead th { border-bottom: 1px solid; font-weight: 600 } tbody th { font-weight: 400 }
p { color: #444c56; margin: .4rem 0 } figure { margin: 2rem 0 } svg { max-width: 100%; height: auto }
@media print { body { margin: 0 } h2 { break-after: avoid } table { break-inside: avoid } }
"""


def as_page(title: str, about: str, sections: Iterable[Section], drawing: str = "") -> str:
    """A page by itself, to be read on a screen or printed; `drawing` is SVG."""
    parts = "\n".join(_html_of(section) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n<p>{escape(about)}</p>\n"
        f"{f'<figure>{drawing}</figure>' if drawing else ''}\n{parts}\n</body></html>\n"
    )


def _html_of(section: Section) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in section.head)
    rows = "\n".join(_row_of(row) for row in section.rows)
    return (
        f"<section><h2>{escape(section.title)}</h2>\n<div class=scroll><table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{rows}</tbody></table></div>\n<p>{escape(section.note)}</p></section>"
    )


def _row_of(row: tuple[str, ...]) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
    return f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>'
