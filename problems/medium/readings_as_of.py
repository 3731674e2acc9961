"""The latest reading at given times, by binary search."""

from bisect import bisect_right
from collections.abc import Iterator
from random import Random

ID = "medium/readings_as_of"
TITLE = "Latest reading at given times"
DIFFICULTY = "medium"
TOPICS = ("binary search", "time series", "joins")
ENTRY_POINT = "readings_as_of"


def readings_as_of(
    readings: list[tuple[int, int | None]], times: list[int], max_age: int
) -> list[int | None]:
    """Return what a sensor's latest reading was at each of the given times.

    `readings` are pairs (second, value) in any order. A value of None says that the sensor
    was switched off at that second. Several readings may have the same second; the one that
    comes last in the list counts.

    For each of the `times` (seconds, in any order, possibly repeated) the result has, at
    the same position, the value of the latest reading at or before that time. It is None if
    there is no such reading, if that reading is older than `max_age` seconds (0 or more) at
    that time, or if its value is None; an older reading never takes its place. An age of
    exactly `max_age` is not too old.

    There may be thousands of readings and times, so looking through all readings for
    each time is too slow. Seconds and values may be negative.

    >>> readings_as_of([(10, 7), (20, 8)], [9, 10, 19, 20, 31], 10)
    [None, 7, 7, 8, None]
    >>> readings_as_of([(20, None), (10, 7), (10, 5)], [15, 25], 60)
    [5, None]
    """
    ordered = sorted(readings, key=lambda reading: reading[0])  # equal seconds keep their order
    seconds = [second for second, _ in ordered]
    found = []
    for time in times:
        count = bisect_right(seconds, time)
        is_known = count > 0 and time - seconds[count - 1] <= max_age
        found.append(ordered[count - 1][1] if is_known else None)
    return found


BASE_INPUTS = [
    ([(10, 7), (20, 8)], [9, 10, 19, 20, 31], 10),
    ([(20, None), (10, 7), (10, 5)], [15, 25], 60),
    ([], [1, 2], 10),
    ([(1, 1)], [], 10),
    ([(5, 1)], [4, 5, 6], 0),
    ([(30, 3), (10, 1), (20, 2)], [35, 5, 25, 15, 25], 100),
    ([(1, 9), (1, 8), (1, 7)], [0, 1, 3, 4], 2),
    ([(-10, -1), (0, 0)], [-11, -10, -1, 0], 5),
    ([(0, 1), (1, 4), (4, 5)], [1, 3, 4], 1),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([(0, 0)], [0], 0)
    yield ([(0, 0)], [-1, 0, 1], 0)
    yield ([(0, None), (0, 5)], [0], 0)
    yield ([(0, 5), (0, None)], [0], 0)
    yield ([(0, 5), (3, None)], [2, 3, 4], 10)
    yield ([(0, 2), (0, 1), (0, 3)], [0, 1], 1)
    yield ([], [], 0)
    yield ([(second, -second) for second in range(0, 2000, 2)], list(range(-5, 2010)), 1)
    yield ([(second, second * 2) for second in range(3000, 0, -3)], list(range(3003, 0, -2)), 2)
    yield ([(second % 100, second) for second in range(1000)], list(range(210)), 50)
    for _ in range(140):
        seconds = random.choices(range(-4, 14), k=random.randint(0, 8))
        readings = [(second, random.choice([None, 0, 1, 2, 3, -4])) for second in seconds]
        times = random.choices(range(-6, 18), k=random.randint(1, 8))
        yield (readings, times, random.randint(0, 5))
