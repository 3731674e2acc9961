"""Gaps in a series of measurements."""

from collections.abc import Iterator
from random import Random

ID = "easy/carry_forward"
TITLE = "Fill gaps in sensor readings"
DIFFICULTY = "easy"
TOPICS = ("lists", "missing values", "sensors")
ENTRY_POINT = "carry_forward"


def carry_forward(readings: list[int | None]) -> list[int | None]:
    """Return the readings of a sensor with the gaps filled.

    The sensor was asked at regular times; None stands for a time at which it did not answer.
    Each None is replaced by the last reading before it. 0 and negative numbers are readings
    like any other. Before the first reading there is nothing to carry forward, so a None at
    the very beginning stays None. The result has as many elements as `readings`; an empty list
    gives an empty list.

    >>> carry_forward([21, None, None, 23, None])
    [21, 21, 21, 23, 23]
    >>> carry_forward([None, 0, None, 5])
    [None, 0, 0, 5]
    """
    filled = []
    last = None
    for reading in readings:
        if reading is not None:
            last = reading
        filled.append(last)
    return filled


BASE_INPUTS = [
    ([21, None, None, 23, None],),
    ([None, 0, None, 5],),
    ([],),
    ([None],),
    ([7],),
    ([None, None, -3, None, 4],),
    ([1, 2, 2, 1],),
    ([5, None, 0, None, None, -1, None],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([None] * 50,)
    yield ([8] + [None] * 500,)
    yield ([None] * 50 + [0],)
    yield ([0, None] * 20,)
    yield ([10**15, None, -(10**15), None],)
    for size in range(100):
        gaps = random.choice((0.1, 0.5, 0.9))
        yield ([None if random.random() < gaps else random.randrange(-3, 9) for _ in range(size)],)
