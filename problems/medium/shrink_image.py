"""Make a greyscale image smaller by averaging square blocks."""

from collections.abc import Iterator
from itertools import chain
from random import Random
from typing import Any

ID = "medium/shrink_image"
TITLE = "Shrink a greyscale image"
DIFFICULTY = "medium"
TOPICS = ("matrices", "images", "rounding")
ENTRY_POINT = "shrink_image"


def shrink_image(pixels: list[list[int]], factor: int) -> list[list[int]]:
    """Return a smaller copy of a greyscale image.

    `pixels` is a list of rows of equal length, at least one pixel each, with values from
    0 (black) to 255 (white). The image is divided into square blocks of `factor` times
    `factor` pixels (factor >= 1), starting at the top left. Where the width or the height
    is not a multiple of `factor`, the blocks at the right or lower edge are smaller.

    Each block becomes one pixel: the mean of the pixels that the block really has, rounded
    to the nearest integer; a mean that ends in exactly .5 is rounded up. So the result has
    a row for each row of blocks and a pixel for each block in it.

    With a factor of 1 the result equals the image. An image without rows gives an empty
    list. The image given is not changed.

    >>> shrink_image([[0, 10, 20], [30, 40, 51]], 2)
    [[20, 36]]
    >>> shrink_image([[7, 8], [9, 10], [255, 255]], 5)
    [[91]]
    """
    return [
        list(map(_rounded_mean, *(_chunks(row, factor) for row in rows)))
        for rows in _chunks(pixels, factor)
    ]


def _chunks(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _rounded_mean(*rows: list[int]) -> int:
    block = list(chain(*rows))
    return (2 * sum(block) + len(block)) // (2 * len(block))


BASE_INPUTS = [
    ([[0, 10, 20], [30, 40, 51]], 2),
    ([[7, 8], [9, 10], [255, 255]], 5),
    ([], 3),
    ([[1, 2, 3], [4, 5, 6]], 1),
    ([[200]], 4),
    ([[0, 1], [0, 1]], 2),
    ([[0, 0, 1], [0, 0, 2], [3, 4, 200]], 2),
    ([[1], [2], [3], [5], [8]], 2),
    ([[1, 0, 0, 1, 0, 0, 1, 1, 0]], 3),
    ([[255, 255, 255, 254], [255, 255, 255, 255]], 4),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([[0]], 1)
    yield ([[0, 1]], 2)
    yield ([[0, 2]], 2)
    yield ([[1, 2]], 2)
    yield ([[0], [1]], 2)
    yield ([[0, 0, 1]], 3)
    yield ([[0, 1, 1]], 3)
    yield ([[2, 2, 3, 3, 3]], 5)
    yield ([[0, 0, 0, 1, 1, 1]], 6)
    yield ([[0, 0, 0, 1, 1], [0, 0, 0, 1, 1]], 10)
    yield ([[255] * 40 for _ in range(30)], 7)
    yield ([[(x * y) % 256 for x in range(50)] for y in range(45)], 4)
    yield ([[(x + 3 * y) % 256 for x in range(45)] for y in range(50)], 11)
    yield ([[x] for x in range(100)], 10)
    yield ([list(range(100))], 10)
    for _ in range(130):
        width, height = random.randint(1, 7), random.randint(1, 7)
        high = random.choice([1, 2, 255])
        pixels = [[random.randint(0, high) for _ in range(width)] for _ in range(height)]
        yield (pixels, random.randint(1, 5))
