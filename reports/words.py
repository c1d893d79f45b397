"""The words of a face: gettext catalogues in its `locale` folder, dates and numbers as the language writes them."""

from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache
from gettext import NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Any, TypeAlias

from babel.core import Locale, get_global
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from protocol.calendar import zone_of

Day: TypeAlias = date  # within Words, `date` is its method
# Telegram's Arabic readers in Egypt, where the trial is, write Arabic-Indic digits.
_LOCALES = {"ar": "ar_EG", "en": "en_GB"}
DIGITS = {
    "ar": str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"),
    "fa": str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"),
    "ur": str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"),
}


class Words:
    """One face's words in one language; call it with a key of the catalogue and what belongs into the sentence."""

    def __init__(self, face: str, language: str) -> None:
        self.language = language
        self.locale = Locale.parse(_LOCALES.get(language, language))
        self._digits = DIGITS.get(language, {})
        self._catalogue = _catalogue(face, language)
        self._fallback = _catalogue(face, "en")

    def __call__(self, key: str, /, **values: Any) -> str:
        """The sentence of this key; numbers among the values are written in the language's digits."""
        sentence = self._catalogue.gettext(key)
        if sentence == key:
            sentence = self._fallback.gettext(key)
        written = {
            name: self.digits(str(value)) if isinstance(value, int) else value for name, value in values.items()
        }
        return sentence.format(**written)

    def knows(self, key: str) -> bool:
        """Tell whether there is a sentence of this key."""
        return self._catalogue.gettext(key) != key or self._fallback.gettext(key) != key

    def digits(self, text: str) -> str:
        """Write the digits in a text as the language does."""
        return text.translate(self._digits)

    @property
    def rtl(self) -> bool:
        """Whether it runs from the right."""
        return self.direction == "rtl"

    @property
    def direction(self) -> str:
        """Which way it runs, as HTML says it: "ltr" or "rtl"."""
        return str(self.locale.text_direction)

    def month(self, on: date) -> str:
        """A month with its year, "November 2026"."""
        return self.digits(format_date(on, "LLLL y", locale=self.locale))

    def weekday(self, on: date) -> str:
        """A day of the week in one letter, "T"."""
        return str(format_date(on, "EEEEE", locale=self.locale))

    def day(self, on: Day) -> str:
        """A day in as few letters as it takes, "24 Nov"."""
        return self.digits(_short_date(on, self.locale, "d MMM"))

    def time(self, at: datetime | time) -> str:
        """A time of day, "20:00"."""
        return self.digits(_clock(at.hour, at.minute, self.locale))

    def date(self, on: Day, *, today: Day | None = None) -> str:
        """A day of the week with its date, "Tue 24 Nov", and with its year where that is another than today's."""
        year = today is not None and on.year != today.year
        return self.digits(_short_date(on, self.locale, "EEE d MMM y" if year else "EEE d MMM"))

    def stamp(self, local: datetime, *, today: Day | None = None) -> str:
        """An instant on the patient's wall in a way that is still right tomorrow: "Tue 24 Nov, 20:00"."""
        return self("moment.date", date=self.date(local.date(), today=today), time=self.time(local))

    def moment(self, at: datetime, *, now: datetime, zone: str) -> str:
        """An instant as the patient would say it: "today 20:00", "tomorrow 09:00", "Tue 1 Dec, 20:00"."""
        tz = zone_of(zone)
        local, today = at.astimezone(tz), now.astimezone(tz).date()
        near = {today: "today", today + timedelta(days=1): "tomorrow", today - timedelta(days=1): "yesterday"}
        if local.date() in near:
            return self(f"moment.{near[local.date()]}", time=self.time(local))
        return self.stamp(local, today=today)

    def place(self, zone: str) -> str:
        """The city a time zone is named after; CLDR keeps some under the name the zone had before."""
        known = self.locale.time_zones
        for name in (zone, *(old for old, new in get_global("zone_aliases").items() if new == zone)):
            if city := known.get(name, {}).get("city"):
                return str(city)
        return zone.rpartition("/")[2].replace("_", " ")


@lru_cache(maxsize=4096)
def _clock(hour: int, minute: int, locale: Locale) -> str:
    """Kept for the same reason: a list of clocks has thirty times of day."""
    return str(format_time(time(hour, minute), "HH:mm", locale=locale))


@lru_cache(maxsize=4096)
def _short_date(on: date, locale: Locale, form: str) -> str:
    """Kept, since CLDR's patterns take a quarter of a millisecond and a page has hundreds of dates."""
    return str(format_date(on, form, locale=locale))


@cache
def words_of(face: str, language: str) -> Words:
    """The words of `bot`, of `web`, or of the pictures of `reports`, in a language."""
    return Words(face, language)


@cache
def languages_of(face: str) -> tuple[str, ...]:
    """The languages a face has catalogues for."""
    folder = files(face) / "locale"
    return tuple(sorted(entry.name.removesuffix(".po") for entry in folder.iterdir() if entry.name.endswith(".po")))


@cache
def _catalogue(face: str, language: str) -> NullTranslations:
    """Read a catalogue as translators edit it; compiling 200 sentences takes a few milliseconds, once."""
    source = files(face) / "locale" / f"{language}.po"
    if not source.is_file():
        return NullTranslations()
    with source.open("rb") as file:
        catalogue = read_po(file, locale=_LOCALES.get(language, language))
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
