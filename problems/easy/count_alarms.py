"""An alarm that does not flutter: it has one limit to start and another to end."""

from collections.abc import Iterator
from random import Random

ID = "easy/count_alarms"
TITLE = "Count the alarms of a cold store"
DIFFICULTY = "easy"
TOPICS = ("sensors", "state", "counting")
ENTRY_POINT = "count_alarms"


def count_alarms(readings: list[int], high: int, low: int) -> int:
    """Return how many times the alarm of a cold store went off.

    The readings are temperatures in the order in which they were taken. At first the alarm is
    silent. It goes off at a reading above `high` and then keeps ringing, without being counted
    again, until a reading is below `low`; from then on it is silent and can go off again. `low`
    is never above `high`. A reading equal to `high` does not start the alarm, and one equal to
    `low` does not end it. An alarm that still rings at the end counts as well.

    >>> count_alarms([4, 9, 7, 9, 2, 9], high=8, low=5)
    2
    >>> count_alarms([8, 8, 5], high=8, low=5)
    0
    """
    alarms = 0
    ringing = False
    for reading in readings:
        if ringing:
            ringing = reading >= low
        elif reading > high:
            ringing = True
            alarms += 1
    return alarms


BASE_INPUTS = [
    ([4, 9, 7, 9, 2, 9], 8, 5),
    ([8, 8, 5], 8, 5),
    ([], 8, 5),
    ([9], 8, 5),
    ([9, 5, 9], 8, 5),
    ([9, 4, 9], 8, 5),
    ([-17, -20, -12, -25, -17], -18, -20),
    ([6, 5, 6, 4, 6, 4], 5, 5),
    ([0, 30, 30, 30, 0, 30, 0, 0, 30], 8, 5),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield [5] * 30, 5, 5
    yield [6, 4] * 30, 5, 5
    yield [6, 5] * 30, 5, 5
    yield [0, -1, 1], 0, 0
    yield [10**9, -(10**9)] * 2, 10**8, -(10**8)
    for size in range(120):
        low = random.randrange(-4, 4)
        high = low + random.randrange(5)
        yield [random.randrange(low - 3, high + 4) for _ in range(size)], high, low
