"""What the study team asks in the chat: codes only, never names, and only of their own sites."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from bot.buttons import Press
from bot.digest import digest
from bot.looking_back import HISTORY_DAYS, send_history
from bot.screens import alert_said
from bot.turn import Screen, Turn
from bot.words import Words, words_in
from diary import Actor, Alert, StaffMember
from diary.alerts import close_alert, see_alert
from diary.roles import Act, actor_of, may
from diary.signing_in import LINK_LASTS, make_link
from diary.team import code_of_staff
from protocol.errors import NotAllowedError, UnknownCodeError
from reports import patient as questions
from reports import site
from reports.definitions import Figures, together
from reports.heatmap import heatmap_picture, worst_first
from reports.trial import trial
from reports.trial_pictures import trial_picture

# A message holds 4,096 characters; a table of this many patients stays below.
_MOST_LINES: Final = 60
_MOST_ALERTS: Final = 10
_HEATMAP_DAYS: Final = 28


async def commanded(turn: Turn, member: StaffMember, name: str, rest: str) -> None:
    """A command of a staff member; whose role does not have it is told so."""
    command = _COMMANDS.get(name)
    words = words_in(member.language)
    if command is None:
        await turn.say(Screen(words("staff.help")))
        return
    act, answer = command
    actor = await actor_of(turn.db, member)
    if may(actor, act):
        await answer(turn, words, actor, rest)
    else:
        await turn.say(Screen(words("staff.no-export" if act is Act.EXPORT else "staff.not-allowed")))


async def tapped(turn: Turn, member: StaffMember, press: Press) -> None:
    """*Seen* or *Done* under an alert."""
    words = words_in(member.language)
    if press.act not in ("as", "ad"):
        await turn.toast(words("button.stale"), alert=True)
        return
    act = see_alert if press.act == "as" else close_alert
    actor = await actor_of(turn.db, member)
    try:
        alert = await act(turn.db, alert_id=press.number(0), actor=actor, now=turn.now)
    except (UnknownCodeError, NotAllowedError):
        await turn.toast(words("button.stale"), alert=True)
        return
    if alert.done_at is not None:
        await turn.show(await _alert_screen(turn, words, alert, actor))
        return
    owner = await code_of_staff(turn.db, alert.seen_by or member.id)
    toast = words("alert.mine") if alert.seen_by == member.id else words("alert.taken", staff=owner)
    await turn.show(await _alert_screen(turn, words, alert, actor), toast=toast)


async def _alert_screen(turn: Turn, words: Words, alert: Alert, actor: Actor) -> Screen:
    """An alert with who has taken it, and what may still be said of it."""
    said = await alert_said(turn.db, words, rule=alert.rule, code=alert.code, note=alert.details.get("note"))
    if alert.done_at is not None:
        closer = await code_of_staff(turn.db, alert.done_by or 0)
        return Screen(words("alert.done-by", alert=said, staff=closer))
    buttons = ((words("alert.seen"), turn.data("as", alert.id)), (words("alert.done"), turn.data("ad", alert.id)))
    shown = buttons if may(actor, Act.TAKE_ALERTS) else ()
    if alert.seen_at is None:
        return Screen(said, (shown,) if shown else ())
    owner = await code_of_staff(turn.db, alert.seen_by or 0)
    return Screen(words("alert.seen-by", alert=said, staff=owner), (shown[1:],) if shown else ())


async def _adherence(turn: Turn, words: Words, actor: Actor, _rest: str) -> None:
    """A line for each patient with its denominator, their days as a picture, and the trial as a whole as another.

    Who works with figures alone hears of no patient.
    """
    rows = await site.adherence_table(turn.db, actor.sites, turn.now)
    if not rows:
        await turn.say(Screen(words("staff.no-patients")))
        return
    named = may(actor, Act.SEE_PATIENTS)
    whole = together(rows)
    lines = [words("staff.adherence-title"), _rate_line(words, "staff.adherence-all", whole)]
    lines += [
        _rate_line(words, "staff.adherence-line", row.figures, code=row.code)
        if row.figures.expected
        else words("staff.adherence-none", code=row.code)
        for row in (rows[:_MOST_LINES] if named else ())
    ]
    await turn.say(Screen("\n".join(lines)))
    if not whole.expected:
        return  # a picture of nothing
    if named:
        grid = await site.grid(turn.db, actor.sites, turn.now, _HEATMAP_DAYS)
        shown = partial(heatmap_picture, worst_first(grid), words.language, all_rows=len(grid.rows))
        await turn.send_picture(shown, name="adherence")
    found = await trial(turn.db, actor.sites, turn.now)
    await turn.send_picture(partial(trial_picture, found, words.language), name="trial")


def _rate_line(words: Words, key: str, figures: Figures, **values: str) -> str:
    answered = figures.on_time + figures.late
    return words(key, answered=answered, expected=figures.expected, rate=_percent(words, figures), **values)


def _percent(words: Words, figures: Figures) -> str:
    return words.digits(f"{figures.rate * 100:.0f} %") if figures.rate is not None else "–"


async def _silent(turn: Turn, words: Words, actor: Actor, _rest: str) -> None:
    lines: list[str] = []
    silent = await site.silent(turn.db, actor.sites, turn.now)
    if silent:
        lines.append(words("staff.silent-title"))
    for patient in silent:
        if patient.answered_on is None:
            lines.append(words("staff.silent-never", code=patient.code))
        else:
            moment = words.date(patient.answered_on, today=turn.now.date())
            lines.append(words("staff.silent-line", code=patient.code, moment=moment))
    unreachable = await site.unreachable(turn.db, actor.sites)
    if unreachable:
        lines.append(words("staff.unreachable-title"))
    for contact in unreachable:
        reason = words(f"staff.reachable.{contact.because}")
        lines.append(words("staff.unreachable-line", code=contact.code, reason=reason))
    await turn.say(Screen("\n".join(lines[:_MOST_LINES] or [words("staff.silent-none")])))


async def _patient(turn: Turn, words: Words, actor: Actor, rest: str) -> None:
    """One patient of one's own sites; anybody else's looks like none at all."""
    if not rest:
        await turn.say(Screen(words("staff.patient-which")))
        return
    try:
        found = await questions.overview(turn.db, rest, actor.sites, turn.now)
    except UnknownCodeError:
        await turn.say(Screen(words("staff.patient-unknown")))
        return
    await turn.say(Screen("\n".join(_overview_lines(words, found, turn))))
    past = await questions.history(turn.db, found.patient_id, turn.now, HISTORY_DAYS)
    if past.lines:
        await send_history(turn, words, past)


def _overview_lines(words: Words, found: questions.Overview, turn: Turn) -> list[str]:
    status, figures = words(f"status.name.{found.status}"), found.figures
    day = found.trial_day
    if day.phase is None:
        lines = [words("staff.patient-joined", code=found.code, status=status)]
    else:
        lines = [words("staff.patient-status", code=found.code, status=status, phase=day.phase, day=day.day)]
    if found.reachable not in (None, "yes"):
        reason = words(f"staff.reachable.{found.reachable}")
        lines.append(words("staff.unreachable-line", code=found.code, reason=reason))
    lines.append(
        words(
            "staff.patient-rate",
            answered=figures.on_time + figures.late,
            expected=figures.expected,
            rate=_percent(words, figures),
            on_time=figures.on_time,
            late=figures.late,
            missed=figures.missed,
            excused=figures.excused,
            open=figures.open,
        )
    )
    if found.last_entries:
        lines.append(words("staff.patient-last"))
    for line in found.last_entries:
        if line.entry is not None:
            lines.append(
                words(
                    "staff.patient-entry",
                    moment=words.moment(line.slot.due_at, now=turn.now, zone=found.zone),
                    item=line.slot.item,
                    answer=_answer(words, line),
                    kind=words(f"entry.kind.{line.entry.kind}"),
                )
            )
    lines += [
        words("staff.patient-alert", alert=words(f"alert.{alert.rule}", code=alert.code))
        for alert in found.open_alerts
    ]
    return lines


def _answer(words: Words, line: questions.DiaryLine) -> str:
    entry = line.entry
    assert entry is not None  # asked for answered slots only
    return words.digits(str(entry.score)) if entry.score is not None else words(f"answer.{entry.answer}")


async def _alerts(turn: Turn, words: Words, actor: Actor, _rest: str) -> None:
    """A message for each; where there are many, a newer one never hides a side effect."""
    pressing, total = await site.pressing_alerts(turn.db, actor.sites, _MOST_ALERTS)
    if not pressing:
        await turn.say(Screen(words("staff.no-alerts")))
        return
    for alert in pressing:
        await turn.say(await _alert_screen(turn, words, alert, actor))
    if total > len(pressing):
        await turn.say(Screen(words("staff.alerts-more", count=total - len(pressing))))


async def _digest(turn: Turn, words: Words, actor: Actor, _rest: str) -> None:
    """What comes by itself in the morning, now; asked for, it says too that nothing needs anybody."""
    composed = await digest(turn.db, actor, words, now=turn.now)
    await turn.say(Screen(composed.text))


async def _dashboard(turn: Turn, words: Words, actor: Actor, _rest: str) -> None:
    """A link to the pages, good once and for a few minutes."""
    await turn.say(Screen(await _with_link(turn, words, actor, "staff.dashboard")))


async def _export(turn: Turn, words: Words, actor: Actor, _rest: str) -> None:
    """The same link for who wants a copy of the diary: a file with data never goes through a chat."""
    await turn.say(Screen(await _with_link(turn, words, actor, "staff.export")))


async def _with_link(turn: Turn, words: Words, actor: Actor, key: str) -> str:
    if turn.pages_url is None or actor.id is None:
        return words("staff.no-pages")
    link = await make_link(turn.db, staff_id=actor.id, actor=actor, now=turn.now)
    return words(key, link=f"{turn.pages_url}/sign-in/{link.token}", minutes=int(LINK_LASTS.total_seconds() // 60))


_COMMANDS: Final[Mapping[str, tuple[Act, Callable[[Turn, Words, Actor, str], Awaitable[None]]]]] = {
    "adherence": (Act.SEE_FIGURES, _adherence),
    "silent": (Act.SEE_PATIENTS, _silent),
    "patient": (Act.SEE_PATIENTS, _patient),
    "alerts": (Act.SEE_PATIENTS, _alerts),
    "digest": (Act.SEE_PATIENTS, _digest),
    "dashboard": (Act.SEE_FIGURES, _dashboard),
    "export": (Act.EXPORT, _export),
}
