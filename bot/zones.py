"""The places a patient is offered when the clock on the wall is not the clinic's: one or more for each offset."""

from datetime import datetime, timedelta

from protocol.calendar import zone_of

# Large cities of every offset in use; the first of an offset is the one most people will mean.
PLACES = (
    "Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Vancouver", "America/Denver",
    "America/Phoenix", "America/Chicago", "America/Mexico_City", "America/New_York", "America/Toronto",
    "America/Bogota", "America/Lima", "America/Halifax", "America/Caracas", "America/Santiago",
    "America/St_Johns", "America/Sao_Paulo", "America/Argentina/Buenos_Aires", "Atlantic/Azores",
    "Europe/London", "Africa/Casablanca", "Africa/Accra", "Europe/Lisbon", "Europe/Berlin", "Europe/Paris",
    "Europe/Rome", "Africa/Lagos", "Africa/Algiers", "Africa/Tunis", "Africa/Cairo", "Europe/Athens",
    "Africa/Johannesburg", "Africa/Khartoum", "Asia/Jerusalem", "Asia/Beirut", "Europe/Kyiv", "Asia/Riyadh",
    "Europe/Istanbul", "Europe/Moscow", "Asia/Baghdad", "Africa/Nairobi", "Asia/Kuwait", "Asia/Tehran",
    "Asia/Dubai", "Asia/Baku", "Asia/Kabul", "Asia/Karachi", "Asia/Tashkent", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Dhaka", "Asia/Almaty", "Asia/Yangon", "Asia/Bangkok", "Asia/Jakarta",
    "Asia/Shanghai", "Asia/Singapore", "Asia/Manila", "Australia/Perth", "Asia/Tokyo", "Asia/Seoul",
    "Australia/Adelaide", "Australia/Darwin", "Australia/Sydney", "Australia/Brisbane", "Pacific/Auckland",
)  # fmt: skip


def offset_minutes(zone: str, now: datetime) -> int:
    """A zone's distance from UTC at an instant."""
    return int((now.astimezone(zone_of(zone)).utcoffset() or timedelta()).total_seconds() // 60)


def offsets(now: datetime) -> list[int]:
    """Every distance from UTC that one of the places has now, in minutes, from west to east."""
    return sorted({offset_minutes(zone, now) for zone in PLACES})


def places_at(offset: int, now: datetime) -> list[str]:
    """The places whose clocks show the same time now."""
    return [zone for zone in PLACES if offset_minutes(zone, now) == offset]
