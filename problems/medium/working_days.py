"""Count working days forwards and backwards from a date."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

ID = "medium/working_days"
TITLE = "Due date after a number of working days"
DIFFICULTY = "medium"
TOPICS = ("dates", "calendars", "business rules")
ENTRY_POINT = "add_working_days"


def add_working_days(start: str, days: int, holidays: list[str]) -> str:
    """Return the date that lies a number of working days from a date.

    Dates are written YYYY-MM-DD. Working days are Monday to Friday except holidays.
    A holiday is written YYYY-MM-DD for that one day or MM-DD for that day in every year;
    the list has no order and may repeat days or name days of a weekend.

    - days > 0: the days-th working day after `start`; `start` itself is not counted,
      whether it is a working day or not.
    - days < 0: the same backwards, the (-days)-th working day before `start`.
    - days = 0: `start` if it is a working day, else the first working day after it.

    All dates given are valid, and there are enough working days between the years 1900
    and 2200.

    >>> add_working_days("2024-05-03", 1, [])  # a Friday
    '2024-05-06'
    >>> add_working_days("2024-12-23", 3, ["12-25", "12-26", "2024-12-30"])
    '2024-12-31'
    >>> add_working_days("2024-05-06", -1, [])
    '2024-05-03'
    >>> add_working_days("2024-05-04", 0, [])
    '2024-05-06'
    """
    step = timedelta(days=-1 if days < 0 else 1)
    day = date.fromisoformat(start)
    left = abs(days)
    while left > 0 or not _is_working_day(day, holidays):
        day += step
        if _is_working_day(day, holidays):
            left -= 1
    return day.isoformat()


def _is_working_day(day: date, holidays: list[str]) -> bool:
    written = day.isoformat()
    return day.weekday() < 5 and written not in holidays and written[5:] not in holidays


BASE_INPUTS = [
    ("2024-05-03", 1, []),
    ("2024-12-23", 3, ["12-25", "12-26", "2024-12-30"]),
    ("2024-05-06", -1, []),
    ("2024-05-04", 0, []),
    ("2024-05-03", 0, []),
    ("2024-05-03", 0, ["2024-05-03"]),
    ("2024-05-04", 1, []),
    ("2024-05-05", -1, ["05-03"]),
    ("2024-02-28", 2, []),
    ("2023-12-29", 1, ["01-01"]),
    ("2025-05-02", 2, ["2024-05-05", "05-07"]),
    ("2024-01-03", -25, ["01-01", "12-25", "12-26", "12-26"]),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for day in range(1, 15):
        for days in (-6, -1, 0, 1, 5):
            yield (f"2024-07-{day:02}", days, ["07-04", "2024-07-08"])
    yield ("2024-02-29", 0, ["02-29"])
    yield ("2024-02-28", 1, ["02-29"])
    yield ("2023-02-28", 1, ["02-29"])
    yield ("2000-02-28", 1, [])
    yield ("2100-02-26", 1, [])
    yield ("2024-03-01", -1, ["2024-02-29"])
    yield ("2023-12-31", 0, ["01-01", "2024-01-02"])
    yield ("2024-01-01", -1, ["12-29"])
    yield ("2024-01-01", 260, [])
    yield ("2024-12-31", -260, ["12-25"])
    yield ("2024-06-07", 3, [f"06-{day:02}" for day in range(8, 20)])
    yield ("2024-06-07", 0, [f"2024-06-{day:02}" for day in range(7, 29)])
    yield ("2024-06-09", 1, ["2024-06-09", "06-08"])
    for _ in range(90):
        month = random.randint(1, 12)
        start = date(random.randint(2019, 2028), month, random.randint(1, 28))
        holidays = []
        for _ in range(random.randint(0, 5)):
            holiday = start + timedelta(days=random.randint(-9, 9))
            holidays.append(holiday.isoformat()[random.choice([0, 5]) :])
        yield (start.isoformat(), random.randint(-8, 8), holidays)
