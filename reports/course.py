"""A measure's course as a figure: each arm's mean at the visits with its interval of 95 %, as a journal prints it.

Words stand in the caption, not in the figure. Greys would do: each arm has a mark and a line of its own.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from protocol.model import Measure, Visit
from reports.analysis import Trial, called, named, pain_of, visits_of
from reports.comparison import interval_of_mean, mean_of

_LOOKS: Final = (  # colours by Okabe and Ito
    ("#0072B2", "o", "-", "white"),
    ("#D55E00", "s", "--", "#D55E00"),
    ("#009E73", "^", "-.", "white"),
    ("#CC79A7", "D", ":", "#CC79A7"),
    ("#1b1f24", "v", "-", "white"),
)
_WIDTH: Final = 6.6  # inches, two columns of a journal
_HEIGHT: Final = 3.8
_LINE: Final = 0.19  # of a number of patients, in inches
_APART: Final = 0.014  # of the trial's length between arms, so that intervals do not lie over one another
KINDS: Final = ("png", "svg", "pdf")


def course_of(trial: Trial, measure: Measure) -> Any:
    """Draw it; `saved` makes a file of it."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    visits = visits_of(trial.protocol, measure)
    counts = _LINE * (len(trial.arms) + 1)
    drawn = Figure(figsize=(_WIDTH, _HEIGHT + counts), layout="constrained")
    axes, below = drawn.subplots(2, 1, sharex=True, height_ratios=(_HEIGHT, counts))
    reach = (visits[-1].day - visits[0].day) or 1
    for place, arm in enumerate(trial.arms):
        shift = (place - (len(trial.arms) - 1) / 2) * _APART * reach
        samples = {visit.day + shift: trial.sample(arm, visit, measure) for visit in visits}
        _draw_arm(axes, arm, samples, _LOOKS[place % len(_LOOKS)])
    _frame(axes, trial, measure, visits)
    _count_below(below, trial, measure, visits)
    return drawn


def _draw_arm(
    axes: Any, arm: str, samples: Mapping[float, Sequence[float]], look: tuple[str, str, str, str]
) -> None:
    known = {day: (mean_of(sample).mean or 0.0, sample) for day, sample in samples.items() if sample}
    means = [mean for mean, _ in known.values()]
    # One value has no interval, and shows as a point.
    bounds = [interval_of_mean(sample) or (mean, mean) for mean, sample in known.values()]
    colour, mark, line, inside = look
    axes.errorbar(
        list(known),
        means,
        yerr=[
            [mean - low for mean, (low, _) in zip(means, bounds, strict=True)],
            [high - mean for mean, (_, high) in zip(means, bounds, strict=True)],
        ],
        label=arm,
        color=colour,
        marker=mark,
        linestyle=line,
        markerfacecolor=inside,
        markersize=6,
        capsize=3,
        linewidth=1.3,
        elinewidth=1,
    )


def _frame(axes: Any, trial: Trial, measure: Measure, visits: Sequence[Visit]) -> None:
    least, most = measure.range
    whole_scale = measure is pain_of(trial.protocol)
    axes.set_ylim(least, most if whole_scale else None)
    axes.set_ylabel(named(measure))
    axes.set_xticks([visit.day for visit in visits], [called(visit) for visit in visits], rotation=30, ha="right")
    axes.tick_params(labelbottom=True)
    axes.spines[["top", "right"]].set_visible(False)
    # Above the axes, where no value can lie under it.
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, ncols=len(trial.arms))


def _count_below(axes: Any, trial: Trial, measure: Measure, visits: Sequence[Visit]) -> None:
    """How many were measured at each visit, under the visit."""
    axes.set_ylim(len(trial.arms) + 0.5, -0.5)
    axes.set_yticks(range(1, len(trial.arms) + 1), list(trial.arms), fontsize="small", va="center")
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    by_line = axes.get_yaxis_transform()
    axes.text(
        0, 0, "Number of patients", transform=by_line, ha="left", va="center", fontsize="small", style="italic"
    )
    for line, arm in enumerate(trial.arms, start=1):
        for visit in visits:
            number = len(trial.sample(arm, visit, measure))
            axes.text(visit.day, line, str(number), ha="center", va="center", fontsize="small")


def saved(drawn: Any, kind: str) -> bytes:
    """The figure as a file of one of `KINDS`, the same bytes each time."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    out = io.BytesIO()
    without_now = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with mpl.rc_context({"svg.hashsalt": "daybook", "svg.fonttype": "none", "pdf.fonttype": 42}):
        drawn.savefig(out, format=kind, dpi=300, metadata=without_now.get(kind))
    return out.getvalue()
