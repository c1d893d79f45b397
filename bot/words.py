"""The words of the chat, from the catalogues in bot/locale."""

from reports.words import Words, languages_of, words_of

__all__ = ["Words", "languages", "words_in"]


def words_in(language: str) -> Words:
    """The chat's words in a language."""
    return words_of("bot", language)


def languages() -> tuple[str, ...]:
    """The languages there are catalogues for."""
    return languages_of("bot")
