"""`daybook health`: one line and an exit code, for a container's HEALTHCHECK and for people."""

import asyncio
from datetime import datetime
from typing import Any

import typer

from cli import wiring
from cli.printing import JsonFlag, print_json
from cli.settings import Settings, load_settings
from reports.health import Health, complaints, health_of


def health(*, as_json: JsonFlag = False) -> None:
    """Say whether the service lives, listens and sends in time; exit 1 where it does not."""
    settings, now = load_settings(), wiring.clock()
    found = asyncio.run(_health(settings, now))
    wrong = complaints(found, polling=not settings.webhook, now=now)
    if as_json:
        print_json(_row(found, wrong, now))
    else:
        print(f"not healthy: {'; '.join(wrong)}" if wrong else "healthy")
        if settings.backup_dir or found.backed_up_at:
            print(_backed_up(found, now))
    if wrong:
        raise typer.Exit(1)


async def _health(settings: Settings, now: datetime) -> Health:
    async with wiring.opened(settings) as db:
        return await health_of(db, now=now)


def _row(found: Health, wrong: list[str], now: datetime) -> dict[str, Any]:
    return {
        "healthy": not wrong,
        "because": wrong,
        "serve_seconds_ago": _ago(found.served_at, now),
        "poll_seconds_ago": _ago(found.polled_at, now),
        "dispatch_seconds_ago": _ago(found.dispatched_at, now),
        "oldest_overdue_seconds": _ago(found.overdue_since, now) or 0.0,
        "backup_seconds_ago": _ago(found.backed_up_at, now),
    }


def _backed_up(found: Health, now: datetime) -> str:
    """How old the last proven backup is; that makes no service unhealthy, which would only be started again."""
    if found.backed_up_at is None:
        return "no backup was proven yet"
    return f"the last proven backup is {(now - found.backed_up_at).total_seconds() / 3600:.1f} h old"


def _ago(at: datetime | None, now: datetime) -> float | None:
    return round((now - at).total_seconds(), 1) if at else None
