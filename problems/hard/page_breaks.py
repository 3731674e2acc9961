"""Where the pages of a document end: no heading alone at the foot, no single lines."""

from collections.abc import Iterator
from random import Random

ID = "hard/page_breaks"
TITLE = "Break a document into pages"
DIFFICULTY = "hard"
TOPICS = ("text layout", "greedy algorithms", "typography")
ENTRY_POINT = "break_pages"
EQUIVALENT_MUTANTS = {
    "`room = 0` -> `room = -1`": "a block needs at least one line: both begin a page"
}


def break_pages(blocks: list[tuple[str, int]], height: int) -> list[list[tuple[int, int, int]]]:
    """Return what is on each page of a document whose pages have `height` lines (4 or more).

    The blocks of the document are ("heading", n) or ("text", n) with n lines, n >= 1; no
    heading has more than `height` lines. They follow each other with as few breaks as needed:
    everything is put on the current page if the rules allow it. Between two blocks on the
    same page there is one empty line, which counts; there is none at the head of a page.

    - A text may go on on the next page, but neither page may have a single line of it next to
      the break: every part of a divided text has at least 2 lines. Under this rule, as many
      lines as possible are put on the earlier page.
    - A heading is not divided. On its page it is followed by the beginning of the next block:
      2 lines of a text (or all, if the text cannot be divided because it has fewer than 4
      lines), or another heading for which the same holds. A heading that is the last block
      needs nothing after it.
    - If a heading with what has to follow it is higher than a page, it is put at the head of
      a new page, and the next block is treated as if that heading did not need it.

    Each page is a list of its parts (position of the block from 0, number of the first line
    of the block that is on the page, number of the last one); lines are numbered from 1.
    Without blocks there are no pages.

    >>> break_pages([("heading", 1), ("text", 5), ("text", 3)], 6)
    [[(0, 1, 1), (1, 1, 3)], [(1, 4, 5), (2, 1, 3)]]
    >>> break_pages([("text", 3), ("heading", 1), ("text", 9)], 7)
    [[(0, 1, 3)], [(1, 1, 1), (2, 1, 5)], [(2, 6, 9)]]
    """
    pages: list[list[tuple[int, int, int]]] = []
    room = 0
    for number, (_, lines) in enumerate(blocks):
        if room < _least(blocks[number:]):
            pages.append([])
            room = height
        first = 1
        while (left := lines - first + 1) > room:
            taken = min(room, left - 2)
            pages[-1].append((number, first, first + taken - 1))
            first += taken
            pages.append([])
            room = height
        pages[-1].append((number, first, lines))
        room -= left + 1
    return pages


def _least(blocks: list[tuple[str, int]]) -> int:
    """Return how many lines have to be on the page where the first block begins."""
    (kind, lines), *following = blocks
    if kind == "text":
        return lines if lines < 4 else 2
    return lines + 1 + _least(following) if following else lines


BASE_INPUTS = [
    ([], 4),
    ([("text", 4)], 4),
    ([("text", 5)], 4),
    ([("heading", 1), ("text", 5), ("text", 3)], 6),
    ([("text", 3), ("heading", 1), ("text", 9)], 7),
    ([("text", 2), ("heading", 1), ("text", 4), ("heading", 2)], 7),
    ([("text", 2), ("heading", 1), ("text", 3), ("heading", 2)], 7),
    ([("heading", 2), ("heading", 1), ("text", 1), ("heading", 1), ("text", 12)], 8),
    ([("heading", 3), ("heading", 2), ("text", 2), ("heading", 5)], 5),
    ([("text", 4), ("text", 4), ("text", 3), ("text", 1), ("text", 20)], 7),
    ([("text", 1), ("text", 1), ("text", 2), ("text", 3), ("heading", 1)], 5),
    ([("text", 7), ("text", 6), ("heading", 1), ("text", 4)], 9),
    ([("text", 3), ("heading", 1), ("heading", 1), ("text", 4), ("text", 1)], 10),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for lines in range(1, 14):
        yield ([("text", lines)], 6)
        yield ([("text", 3), ("text", lines), ("heading", 1)], 6)
    for lines in range(1, 8):
        yield ([("heading", lines), ("text", 5)], 7)
        yield ([("text", lines), ("heading", 1), ("text", 2)], 7)
    yield ([("heading", 1)] * 5 + [("text", 9)], 8)
    yield ([("heading", 1)] * 3, 4)
    yield ([("text", 300)], 10)
    yield ([("text", 1)] * 60, 10)
    for size in range(80):
        blocks = [
            ("heading", random.randint(1, 3))
            if random.random() < 0.35
            else ("text", random.choice([1, 2, 3, 4, 4, 5, 6, 9]))
            for _ in range(size // 4 + 3)
        ]
        yield (blocks, random.randint(4, 12))
