"""The colours of the pictures: three for marks, told apart with any kind of colour vision and by lightness.

Blue and orange are Okabe and Ito's, darkened so that each stands out from paper and from a band of days (3 to 1,
WCAG 2.2 §1.4.11; words 4.5 to 1, §1.4.3). No mark is told by its colour alone: each has a shape of its own.
A test computes all of this.
"""

from typing import Final

PAPER: Final = "#ffffff"
BAND: Final = "#eef3f6"  # a stretch of days behind the marks
RULE: Final = "#dfe5ea"  # a line to read along, not to look at

INK: Final = "#1f2933"
QUIET: Final = "#55636f"

BLUE: Final = "#005a92"  # answered
ORANGE: Final = "#c85200"  # asked for, and not done
GREY: Final = "#76818c"  # nothing said

MARKS: Final = (BLUE, ORANGE, GREY)
WORDS: Final = (INK, QUIET)
GROUNDS: Final = (PAPER, BAND)
