"""From single measurements to one value a day."""

from collections.abc import Iterator
from random import Random

ID = "easy/daily_means"
TITLE = "Mean temperature of each day"
DIFFICULTY = "easy"
TOPICS = ("grouping", "dictionaries", "sensors", "statistics")
ENTRY_POINT = "daily_means"
ATOL = 1e-6


def daily_means(readings: list[tuple[str, float]]) -> dict[str, float]:
    """Return the mean temperature of each day.

    Each reading is a pair: the moment, always written as "YYYY-MM-DD HH:MM", and the
    temperature. The readings come in any order; a moment may occur several times, and then
    every one of its readings counts. The result maps each day that has readings, written as
    "YYYY-MM-DD", to the arithmetic mean of its temperatures, not rounded. The order of the
    days in the dictionary does not matter. Without readings the result is empty.

    >>> daily_means([("2024-07-01 06:00", 14.0), ("2024-07-01 15:30", 21.0)])
    {'2024-07-01': 17.5}
    >>> daily_means([("2024-07-02 00:00", -1.5), ("2024-07-01 23:59", 3.0)])
    {'2024-07-02': -1.5, '2024-07-01': 3.0}
    """
    days: dict[str, list[float]] = {}
    for moment, temperature in readings:
        days.setdefault(moment[:10], []).append(temperature)
    return {day: sum(values) / len(values) for day, values in days.items()}


BASE_INPUTS = [
    ([("2024-07-01 06:00", 14.0), ("2024-07-01 15:30", 21.0)],),
    ([("2024-07-02 00:00", -1.5), ("2024-07-01 23:59", 3.0)],),
    ([],),
    ([("2024-07-01 06:00", 0.0)],),
    ([("2024-07-01 06:00", 1.0), ("2024-08-01 06:00", 5.0), ("2024-07-01 06:00", 4.0)],),
    ([("2024-07-01 06:00", 10.0), ("2024-07-01 12:00", 10.0), ("2024-07-01 18:00", 11.0)],),
    ([("2023-12-31 23:59", 2.0), ("2024-01-01 00:00", 4.0), ("2024-01-10 00:00", 8.0)],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([("2024-07-01 06:00", -5.0), ("2024-07-01 07:00", 5.0)],)
    yield ([("2024-07-01 06:00", 0.1)] * 10,)
    yield ([("0999-01-01 00:00", 1e6), ("0999-01-01 00:01", 1.0)],)
    for size in range(100):
        readings = []
        for _ in range(size):
            day, hour, minute = random.randint(8, 12), random.randrange(24), random.randrange(60)
            moment = f"2024-0{random.randint(1, 2)}-{day:02d} {hour:02d}:{minute:02d}"
            readings.append((moment, random.randrange(-200, 350) / 10))
        yield (readings,)
