"""The words of the chat: gettext catalogues in bot/locale, dates and numbers as the language writes them."""

from datetime import date, datetime, time, timedelta
from functools import cache
from gettext import NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Any

from babel.core import Locale, get_global
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from protocol.calendar import zone_of

# Telegram's Arabic readers in Egypt, where the trial is, write Arabic-Indic digits.
_LOCALES = {"ar": "ar_EG", "en": "en_GB"}
_ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_WRITES_ARABIC_DIGITS = frozenset({"ar"})


class Words:
    """One language's words; call it with a key of the catalogue and what belongs into the sentence."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = Locale.parse(_LOCALES.get(language, language))
        self._catalogue = _catalogue(language)
        self._fallback = _catalogue("en")

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
        return text.translate(_ARABIC_DIGITS) if self.language in _WRITES_ARABIC_DIGITS else text

    def time(self, at: datetime | time) -> str:
        """A time of day, "20:00"."""
        return self.digits(format_time(at, "HH:mm", locale=self.locale))

    def date(self, on: date) -> str:
        """A day of the week with its date, "Tue 24 Nov"."""
        return self.digits(format_date(on, "EEE d MMM", locale=self.locale))

    def stamp(self, local: datetime) -> str:
        """An instant on the patient's wall in a way that is still right tomorrow: "Tue 24 Nov, 20:00"."""
        return self("moment.date", date=self.date(local.date()), time=self.time(local))

    def moment(self, at: datetime, *, now: datetime, zone: str) -> str:
        """An instant as the patient would say it: "today 20:00", "tomorrow 09:00", "Tue 1 Dec, 20:00"."""
        tz = zone_of(zone)
        local, today = at.astimezone(tz), now.astimezone(tz).date()
        near = {today: "today", today + timedelta(days=1): "tomorrow", today - timedelta(days=1): "yesterday"}
        if local.date() in near:
            return self(f"moment.{near[local.date()]}", time=self.time(local))
        return self.stamp(local)

    def place(self, zone: str) -> str:
        """The city a time zone is named after; CLDR keeps some under the name the zone had before."""
        known = self.locale.time_zones
        for name in (zone, *(old for old, new in get_global("zone_aliases").items() if new == zone)):
            if city := known.get(name, {}).get("city"):
                return str(city)
        return zone.rpartition("/")[2].replace("_", " ")


@cache
def words_in(language: str) -> Words:
    """The words of a language."""
    return Words(language)


@cache
def languages() -> tuple[str, ...]:
    """The languages there are catalogues for."""
    folder = files("bot") / "locale"
    return tuple(sorted(entry.name.removesuffix(".po") for entry in folder.iterdir() if entry.name.endswith(".po")))


@cache
def _catalogue(language: str) -> NullTranslations:
    """Read a catalogue as translators edit it; compiling 200 sentences takes a few milliseconds, once."""
    source = files("bot") / "locale" / f"{language}.po"
    if not source.is_file():
        return NullTranslations()
    with source.open("rb") as file:
        catalogue = read_po(file, locale=_LOCALES.get(language, language))
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
