"""Problem files for tests: a good one, and how it is spoiled."""

from pathlib import Path

GOOD = '''\
"""Remarks for reviewers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, reduce
from random import Random

ID = "easy/shelf_count"
TITLE = "Count full shelves"
DIFFICULTY = "easy"
TOPICS = ("arithmetic", "lists")
ENTRY_POINT = "shelf_count"

Books = list[int]
# How wide a shelf is.
_WIDTH = 10


@dataclass
class _Unused:
    width: int = 3


def shelf_count(books: Books, spare: int) -> int:
    """Return how many shelves are needed for books of some widths, and some spare ones.

    A shelf is 10 wide. A width below 0 raises ValueError.

    >>> shelf_count([5, 5, 1], 0)
    2
    >>> shelf_count([], 3)
    3
    >>> shelf_count([-1], 0)
    Traceback (most recent call last):
    ValueError: a book is wider than nothing
    """
    return math.ceil(_total(books) / _WIDTH) + spare


def _total(books: Books) -> int:
    if any(book < 0 for book in books):
        raise ValueError("a book is wider than nothing")
    return sum(books)


BASE_INPUTS = [
    ([5, 5, 1], 0),
    ([], 3),
    ([-1], 0),
    ([10], 1),
    ([0, 11], 0),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for size in range(100):
        yield [random.randrange(-1, 99) for _ in range(size % 7)], random.randrange(3)
'''

STRONG = """
EQUIVALENT_MUTANTS = {}
"""


def write(folder: Path, source: str = GOOD, name: str = "easy/shelf_count") -> Path:
    """Write a problem file and return its path."""
    path = folder / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return path


def spoiled(old: str, new: str, source: str = GOOD) -> str:
    """The good file with one text replaced by another."""
    assert source.count(old) >= 1, old
    return source.replace(old, new, 1)
