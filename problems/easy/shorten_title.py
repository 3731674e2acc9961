"""Headlines in a narrow column."""

from collections.abc import Iterator
from random import Random

ID = "easy/shorten_title"
TITLE = "Shorten a headline"
DIFFICULTY = "easy"
TOPICS = ("text", "strings", "formatting")
ENTRY_POINT = "shorten_title"


def shorten_title(title: str, width: int) -> str:
    """Return a headline that is at most `width` characters long.

    A title that is not longer than `width` is returned unchanged. Otherwise it is cut and "…"
    (one character) is put directly after what is left: as many whole words from the beginning
    as fit together with the "…". If not even the first word fits with it, that word is cut so
    that the result is exactly `width` characters long.

    The words of a title are separated by single spaces; there is none at either end. Punctuation
    belongs to its word. `width` is at least 1. An empty title stays empty.

    >>> shorten_title("Rain in the north", 17)
    'Rain in the north'
    >>> shorten_title("Rain in the north", 12)
    'Rain in the…'
    >>> shorten_title("Rain in the north", 3)
    'Ra…'
    """
    if len(title) <= width:
        return title
    words, _, _ = title[:width].rpartition(" ")
    return (words or title[: width - 1]) + "…"


BASE_INPUTS = [
    ("Rain in the north", 17),
    ("Rain in the north", 12),
    ("Rain in the north", 3),
    ("Rain in the north", 16),
    ("Rain in the north", 11),
    ("Rain in the north", 5),
    ("Rain in the north", 4),
    ("Rain in the north", 1),
    ("Rain", 40),
    ("", 1),
    ("Hochwassergefahr", 8),
    ("A b", 2),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for width in range(1, 30):
        yield "Storm: a tree, a roof & 2 cars…", width
    for width in range(1, 7):
        yield "x", width
        yield "ab cd", width
    words = ["Rain", "in", "a", "the", "Überschwemmung", "2024:", "(again)", "日本", "north-east"]
    for size in range(100):
        title = " ".join(random.choices(words, k=size % 12))
        yield title, random.randint(1, len(title) + 3)
