"""The page of a simulation's results: one file by itself, to be read on a phone or printed."""

from collections.abc import Sequence
from html import escape
from typing import Final

from rehearsal.simulation.load import Load, Span
from rehearsal.simulation.results import Results
from reports.paper import as_document, as_html

_WIDTH, _HEIGHT, _LEFT, _FOOT, _TOP = 900.0, 220.0, 44.0, 24.0, 12.0
_PATIENTS, _TEAM, _CHANGES = "#0b6e8f", "#c2571a", "#b7c6cf"

_WARNING: Final = (
    "A simulation: no patient, no chat and no answer in it is real. Its figures of pain and movement were put in "
    "(rehearsal/simulation/effects.py), so they prove nothing about a treatment."
)
_ANALYSED: Final = (
    "Made by the functions of <code>daybook analyse</code> from the export and the allocation list in this folder. "
    "The diary never knew the list."
)
_STEPS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 10**9)
_LINES: Final = 5

_STYLE: Final = """
body { font: 16px/1.5 system-ui, "Noto Sans", sans-serif; color: #1b1f24; background: #fff; margin: 0 auto;
       max-width: 64rem; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .2rem 0 1rem } h2 { font-size: 1.2rem; margin: 2.6rem 0 .3rem }
p { margin: .3rem 0; max-width: 46rem } .quiet { color: #57606a }
.verdict { border-inline-start: .35rem solid #1a7f37; background: #f0f8f2; padding: .7rem 1rem; margin: 1rem 0 }
.verdict.bad { border-color: #b3261e; background: #fdf1f0 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 1rem 0 }
dt { color: #57606a } dd { margin: 0 }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%;
       border-top: 2px solid #1b1f24; border-bottom: 2px solid #1b1f24; margin-top: .6rem }
th, td { text-align: start; padding: .28rem 1rem .28rem 0; vertical-align: top }
thead th { border-bottom: 1px solid #1b1f24; font-weight: 600 } tbody th { font-weight: 400 }
tbody tr + tr { border-top: 1px solid #e3e8ec } td { white-space: nowrap }
svg, img { max-width: 100%; height: auto; display: block; margin-top: .6rem }
.scroll > svg { min-width: 40rem } figure { margin: 1.5rem 0 }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .9rem; color: #57606a }
.legend i { display: inline-block; width: .8em; height: .8em; margin-inline-end: .4em }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: .5rem } }
@media print { body { padding: 0 } h2 { break-after: avoid } table, svg { break-inside: avoid } }
"""


def as_page(told: Results) -> str:
    """All of it, with nothing to fetch from anywhere."""
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in told.about)
    parts = [
        f'<p class="quiet">{_WARNING}</p>',
        f"<dl>{facts}</dl>",
        _verdict(told),
        *_loads(told.load),
        as_html(told.diary, {}),
        f"<h2>The trial's tables</h2><p class='quiet'>{_ANALYSED}</p>",
        f"<p>{escape(told.missing)}</p>" if told.missing else "",
        as_html(told.trial, told.drawings),
    ]
    shown = "\n".join(part for part in parts if part)
    return as_document(f"Simulation: {told.title}", _STYLE, f"\n<h1>{escape(told.title)}</h1>\n{shown}\n")


def _verdict(told: Results) -> str:
    bad = " bad" if told.findings.faults else ""
    faults = "".join(f"<li>{escape(fault.told)}</li>" for fault in told.findings.faults)
    return (
        f'<div class="verdict{bad}"><p><strong>The simulator\'s own book against the database.</strong> '
        f"{escape(str(told.findings))}</p>{f'<ul>{faults}</ul>' if faults else ''}</div>"
    )


def _loads(load: Load) -> list[str]:
    legend = "".join(
        f'<span><i style="background: {colour}"></i>{name}</span>'
        for colour, name in ((_PATIENTS, "to patients"), (_TEAM, "to the team"), (_CHANGES, "changes of messages"))
    )
    by_hour = [
        _together([span for span in load.hours if span.begins.hour == hour], hour, load) for hour in range(24)
    ]
    days = [(f"{span.begins:%d %b}" if span.begins.day == 1 else "", span) for span in load.days]
    hours = [(f"{hour:02}", span) for hour, span in enumerate(by_hour)]
    note = '<p class="quiet">All days together, on the trial\'s own clock.</p>'
    return [
        f"<h2>Messages per day</h2><div class='legend'>{legend}</div>{_bars(days, 'Messages per day')}",
        f"<h2>Messages by hour of the day</h2>{note}{_bars(hours, 'Messages by hour of the day')}",
    ]


def _together(spans: Sequence[Span], hour: int, load: Load) -> Span:
    begins = load.hours[0].begins.replace(hour=hour)
    return Span(
        begins,
        *(sum(getattr(span, name) for span in spans) for name in Span.__slots__ if name != "begins"),
    )


def _bars(spans: Sequence[tuple[str, Span]], title: str) -> str:
    """Bars of three parts, one on the other, with a scale of round numbers."""
    most = max((span.counted for _, span in spans), default=0) or 1
    step = next(step for step in _STEPS if most / step <= _LINES)
    high = _HEIGHT - _FOOT - _TOP
    wide = (_WIDTH - _LEFT) / len(spans)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" font-size="11" fill="#57606a"><title>{title}</title>'
    ]
    for value in range(0, most + 1, step):
        y = _TOP + high * (1 - value / most)
        parts.append(f'<path d="M{_LEFT:g} {y:.1f}H{_WIDTH:g}" stroke="#e3e8ec"/>')
        parts.append(f'<text x="{_LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>')
    for place, (label, span) in enumerate(spans):
        x, foot = _LEFT + place * wide, _TOP + high
        for value, colour in ((span.to_patients, _PATIENTS), (span.to_staff, _TEAM), (span.changes, _CHANGES)):
            tall = high * value / most
            if value:
                foot -= tall
                parts.append(
                    f'<rect x="{x:.1f}" y="{foot:.1f}" width="{wide * 0.86:.2f}" height="{tall:.1f}" '
                    f'fill="{colour}"/>'
                )
        if label:
            parts.append(f'<text x="{x + wide / 2:.1f}" y="{_HEIGHT - 6:g}" text-anchor="middle">{label}</text>')
    return f'<div class="scroll" tabindex="0">{"".join(parts)}</svg></div>'
