"""A row of a table by its labels, and figures as near as a paper prints them."""

import pytest


def row(section, *begins):
    [found] = [line for line in section.rows if line[: len(begins)] == begins]
    return dict(zip(section.head, found, strict=True))


def near(value, places=3):
    return pytest.approx(value, abs=0.6 * 10**-places)
