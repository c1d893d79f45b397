"""The trial's figure: each arm's mean over the visits with its interval of 95 %, as a journal prints it."""

import io
from typing import Any, Final

from protocol.model import Measure
from reports.analysis import Trial, visits_of
from reports.comparison import interval_of_mean, mean_of

# Greys would do: each arm has a mark and a line of its own; the colours are Okabe and Ito's.
_LOOKS: Final = (
    ("#0072B2", "o", "-", "white"),
    ("#D55E00", "s", "--", "#D55E00"),
    ("#009E73", "^", "-.", "white"),
    ("#CC79A7", "D", ":", "#CC79A7"),
)
_APART: Final = 1.2  # days between arms, so that their intervals do not lie over one another


def course_of(trial: Trial, measure: Measure) -> Any:
    """Draw it; the caller saves it as PNG, SVG or PDF."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    visits = visits_of(trial.protocol, measure.id)
    drawn = Figure(figsize=(6.6, 4.2), layout="constrained")
    axes = drawn.subplots()
    for place, arm in enumerate(trial.arms):
        colour, mark, line, inside = _LOOKS[place % len(_LOOKS)]
        samples = [(visit.day, trial.sample(arm, visit.id, measure.id)) for visit in visits]
        known = [(day, mean_of(sample).mean or 0.0, interval_of_mean(sample)) for day, sample in samples if sample]
        if not known:
            continue
        shift = (place - (len(trial.arms) - 1) / 2) * _APART
        means = [mean for _, mean, _ in known]
        reach = [
            [mean - low for mean, (low, _) in _with_bounds(known)],
            [high - mean for mean, (_, high) in _with_bounds(known)],
        ]
        axes.errorbar(
            [day + shift for day, _, _ in known],
            means,
            yerr=reach,
            label=f"{arm} (n = {len(trial.arms[arm])})",
            color=colour,
            marker=mark,
            linestyle=line,
            markerfacecolor=inside,
            markersize=7,
            capsize=3,
            linewidth=1.6,
        )
    axes.set_xticks(
        [visit.day for visit in visits], [visit.name.in_language("en") for visit in visits], rotation=30, ha="right"
    )
    axes.set_ylim(0 if measure.range[0] == 0 else measure.range[0], None)
    axes.set_ylabel(f"{measure.name.in_language('en')}{f' ({measure.unit})' if measure.unit else ''}")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.containers:
        axes.legend(frameon=False)
    axes.set_title("Mean with 95 % confidence interval", fontsize=9, loc="left", color="#444c56")
    return drawn


def _with_bounds(
    known: list[tuple[int, float, tuple[float, float] | None]],
) -> list[tuple[float, tuple[float, float]]]:
    """Each mean with its bounds; one value has none, and shows as a point."""
    return [(mean, bounds or (mean, mean)) for _, mean, bounds in known]


def saved(drawn: Any, kind: str) -> bytes:
    """The drawing's bytes, the same each time."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    out = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "daybook", "svg.fonttype": "none"}):
        drawn.savefig(out, format=kind, dpi=300, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()
