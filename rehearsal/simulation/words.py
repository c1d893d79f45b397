"""What simulated patients write in words of their own."""

from typing import Final

NOTES: Final = {
    "en": (
        "I slept badly because of the heat.",
        "Walked to the market today, that was too far.",
        "Can I take my blood pressure tablet at the same time?",
        "My daughter helps me with this. Thank you.",
        "The clinic lift was broken, I had to take the stairs.",
    ),
    "ar": (
        "لم أنم جيدًا بسبب الحر.",
        "مشيت إلى السوق اليوم وكان ذلك بعيدًا.",
        "هل يمكنني أخذ قرص الضغط في نفس الوقت؟",
        "ابنتي تساعدني في هذا. شكرًا لكم.",
        "كان مصعد العيادة معطلًا واضطررت إلى صعود السلم.",
    ),
}
SIDE_EFFECTS: Final = {
    "en": (
        "dizzy since this morning",
        "stomach cramps and loose stools after the capsule",
        "I feel warm in the face and a little sick",
        "my arm is red where the needle was",
    ),
    "ar": (
        "دوخة منذ الصباح",
        "مغص وإسهال بعد الكبسولة",
        "أشعر بسخونة في الوجه وغثيان بسيط",
        "ذراعي محمرة مكان الإبرة",
    ),
}
REASONS: Final = {"en": "I mixed up two days", "ar": "خلطت بين يومين"}
CAPTION: Final = {"en": "this is how it looks", "ar": "هكذا تبدو"}

# What no rating can be made of; the last is longer than a message, so a phone sends it in pieces.
NONSENSE: Final = (
    "7 or 8",
    "aaa",
    "7.5",
    "12",
    "-1",
    "🙂",
    "not so good today",
    "٧ أو ٨",
    "الحمد لله",
    "blah " * 2000,
)
LONGEST_MESSAGE: Final = 4096

# How a score is typed: plainly, as a fraction of ten, with a full stop, in Arabic or in wide digits.
SPELLINGS: Final = ("{}", "{}/10", " {}. ", "{arabic}", "{wide}")
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


def spelled(score: int, form: str, most: int) -> str:
    """A score as somebody may type it."""
    text = str(score)
    shown = form.replace("/10", f"/{most}")
    return shown.format(text, arabic=text.translate(_ARABIC), wide=text.translate(_WIDE))


def pieces(text: str) -> list[str]:
    """A text as a phone sends it: in messages that are not too long."""
    return [text[start : start + LONGEST_MESSAGE] for start in range(0, len(text), LONGEST_MESSAGE)]
