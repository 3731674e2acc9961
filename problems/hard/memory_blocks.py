"""A memory allocator with best fit, where blocks can also change their length."""

from collections.abc import Iterator
from random import Random

ID = "hard/memory_blocks"
TITLE = "Blocks of a memory allocator"
DIFFICULTY = "hard"
TOPICS = ("allocation", "simulation", "intervals")
ENTRY_POINT = "allocate_blocks"


def allocate_blocks(
    size: int, requests: list[tuple[str, str, int]]
) -> tuple[list[tuple[int, int, str]], list[int]]:
    """Serve requests for blocks of a memory with the addresses 0 to `size` - 1.

    Each request is (action, name of the block, length); a length is at least 1, except for
    "free", where it does not matter.

    - "new": reserve a block of that length in the smallest gap that is long enough, at the
      gap's start; of several such gaps of one length the one with the lowest address. A gap
      is a longest run of free addresses. Refused if no gap is long enough or if there is a
      block of that name.
    - "resize": give the block that length. It keeps its start if the new length fits there
      before the next block (or the end of the memory). Otherwise it moves to where a new
      block of that length would be placed while the old one is still in its place; then the
      old place becomes free. Refused, with the block left as it was, if there is no such
      place.
    - "free": give the block back.

    "resize" and "free" are refused if there is no block of that name.

    Return the blocks at the end as (start, length, name), sorted by start, and the positions
    (from 0) of the refused requests.

    >>> allocate_blocks(10, [("new", "a", 4), ("new", "b", 3), ("free", "a", 0), ("new", "c", 2)])
    ([(4, 3, 'b'), (7, 2, 'c')], [])
    >>> allocate_blocks(10, [("new", "a", 2), ("new", "b", 3), ("resize", "a", 4), ("new", "c", 3)])
    ([(2, 3, 'b'), (5, 4, 'a')], [3])
    """
    blocks: dict[str, tuple[int, int]] = {}
    refused = []
    for position, (action, name, length) in enumerate(requests):
        if (name in blocks) == (action == "new"):
            refused.append(position)
            continue
        if action == "free":
            del blocks[name]
            continue
        start = blocks[name][0] if action == "resize" else size
        limit = min((other for other, _ in blocks.values() if other > start), default=size)
        if start + length > limit:
            gaps = [gap for gap in _gaps(blocks, size) if gap[0] >= length]
            if not gaps:
                refused.append(position)
                continue
            start = min(gaps)[1]
        blocks[name] = (start, length)
    return sorted((start, length, name) for name, (start, length) in blocks.items()), refused


def _gaps(blocks: dict[str, tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Return the (length, start) of all gaps, those of length 0 between blocks included."""
    gaps = []
    free_from = 0
    for start, length in sorted(blocks.values()):
        gaps.append((start - free_from, free_from))
        free_from = start + length
    return [*gaps, (size - free_from, free_from)]


BASE_INPUTS = [
    (10, []),
    (10, [("new", "a", 4), ("new", "b", 3), ("free", "a", 0), ("new", "c", 2)]),
    (10, [("new", "a", 2), ("new", "b", 3), ("resize", "a", 4), ("new", "c", 3)]),
    (3, [("new", "a", 4), ("new", "a", 3), ("new", "a", 1), ("new", "b", 1)]),
    (5, [("free", "a", 1), ("resize", "a", 1), ("new", "a", 1), ("free", "a", 1)]),
    (6, [("new", "a", 2), ("resize", "a", 6), ("resize", "a", 7), ("resize", "a", 1)]),
    (6, [("new", "a", 2), ("new", "b", 2), ("resize", "a", 3), ("resize", "b", 4)]),
    (
        12,
        [
            ("new", "a", 3),
            ("new", "b", 1),
            ("new", "c", 3),
            ("new", "d", 1),
            ("new", "e", 3),
            ("free", "e", 0),
            ("free", "c", 0),
            ("free", "a", 0),
            ("new", "f", 3),
        ],
    ),
    (
        9,
        [
            ("new", "a", 2),
            ("new", "b", 2),
            ("new", "c", 2),
            ("free", "b", 0),
            ("resize", "a", 4),
            ("resize", "c", 3),
            ("resize", "a", 5),
            ("resize", "a", 3),
            ("new", "b", 1),
        ],
    ),
    (
        8,
        [
            ("new", "z", 2),
            ("new", "y", 2),
            ("new", "x", 1),
            ("free", "z", 0),
            ("resize", "x", 4),
            ("resize", "y", 2),
            ("resize", "y", 3),
            ("new", "a", 2),
        ],
    ),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield (0, [("new", "a", 1)])
    yield (1, [("new", "a", 1), ("new", "b", 1), ("free", "a", 5), ("new", "", 1)])
    yield (4, [("new", "a", 2), ("new", "b", 2), ("resize", "a", 3), ("resize", "b", 3)])
    yield (4, [("new", "ä", 2), ("resize", "ä", 4), ("resize", "ä", 4), ("resize", "ä", 2)])
    yield (100, [("new", str(number), 2) for number in range(60)])
    evens = [("free", str(number), 0) for number in range(0, 50, 2)]
    yield (100, [("new", str(n), 2) for n in range(50)] + evens + [("new", "x", 3)])
    for size in range(120):
        names = "abcdef"[: random.randint(2, 6)]
        requests = [
            (random.choice(["new", "new", "free", "resize", "resize"]), random.choice(names),
             random.randint(1, random.choice([3, 6])))
            for _ in range(size // 4 + 4)
        ]  # fmt: skip
        yield (random.randint(4, 16), requests)
