"""A message as something to tap on."""

from dataclasses import dataclass

from rehearsal.chats import Message


@dataclass(frozen=True, slots=True)
class Button:
    """A button: its label, and what it would say back, which no patient can read."""

    label: str
    data: str
    act: str
    arguments: tuple[str, ...]

    def number(self, place: int) -> int:
        """An argument that is a whole number."""
        return int(self.arguments[place])


def buttons_of(message: Message) -> list[Button]:
    """A message's buttons in reading order."""
    return [
        button_of(str(button["text"]), str(button.get("callback_data", "")))
        for row in message.keyboard or ()
        for button in row
    ]


def button_of(label: str, data: str) -> Button:
    """A button by what it says back."""
    act, *arguments = data.partition("~")[0].split(".")
    return Button(label, data, act, tuple(arguments))
