"""A window of the day that may run past midnight."""

from collections.abc import Iterator
from random import Random

ID = "easy/quiet_hours"
TITLE = "Is it quiet hours?"
DIFFICULTY = "easy"
TOPICS = ("time of day", "conditions")
ENTRY_POINT = "in_quiet_hours"


def in_quiet_hours(now: str, start: str, end: str) -> bool:
    """Tell whether a phone has to stay silent at the time `now`.

    All three are times of the day from "00:00" to "23:59", always with two digits for hour
    and minute. The quiet hours begin at `start`, which is already quiet, and last until
    `end`, which is no longer quiet. If `start` is later than `end`, they run past midnight
    into the next morning. If `start` and `end` are equal, there are no quiet hours at all.

    >>> in_quiet_hours("13:30", "13:00", "15:00")
    True
    >>> in_quiet_hours("15:00", "13:00", "15:00")
    False
    >>> in_quiet_hours("02:15", "22:00", "06:30")
    True
    """
    if start <= end:
        return start <= now < end
    return now >= start or now < end


BASE_INPUTS = [
    ("13:30", "13:00", "15:00"),
    ("13:00", "13:00", "15:00"),
    ("15:00", "13:00", "15:00"),
    ("12:59", "13:00", "15:00"),
    ("18:20", "13:00", "15:00"),
    ("02:15", "22:00", "06:30"),
    ("22:00", "22:00", "06:30"),
    ("06:30", "22:00", "06:30"),
    ("23:40", "22:00", "06:30"),
    ("12:00", "22:00", "06:30"),
    ("21:59", "22:00", "06:30"),
    ("08:00", "08:00", "08:00"),
    ("09:00", "08:00", "08:00"),
    ("00:00", "00:00", "23:59"),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    edges = ["00:00", "00:01", "12:00", "23:59"]
    for now in edges:
        for start in edges:
            for end in edges:
                yield now, start, end
    for _ in range(100):
        times = [f"{random.randrange(24):02d}:{random.choice((0, 15, 30)):02d}" for _ in range(3)]
        yield tuple(times)
