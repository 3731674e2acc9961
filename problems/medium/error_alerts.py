"""Alerts for bursts of errors in a log: a sliding window and a pause between alerts."""

from collections import deque
from collections.abc import Iterator
from random import Random

ID = "medium/error_alerts"
TITLE = "Alerts for bursts of errors"
DIFFICULTY = "medium"
TOPICS = ("queues", "sliding windows", "monitoring")
ENTRY_POINT = "alert_times"


def alert_times(
    entries: list[tuple[int, int]], threshold: int, window: int, pause: int
) -> list[int]:
    """Return the seconds at which the monitoring of a log raises an alert, in order.

    `entries` are the log's lines as (second, level), in ascending order of their seconds;
    several may have the same second and are read in the order given. A level of 40 or more
    is an error, a level of 50 or more is a critical error; other lines are ignored.

    After reading an error at second t, an alert is due if
    - the error is critical, or
    - at least `threshold` errors (this one and critical ones included) were read so far
      whose second is greater than t - window.

    An alert that is due is raised, unless another one was raised less than `pause` seconds
    before. Errors stay in the count when an alert was raised. It holds that
    threshold >= 1, window >= 1 and pause >= 0; with a pause of 0 the same second may be
    returned several times.

    >>> alert_times([(1, 40), (4, 40), (5, 20), (9, 40), (10, 40)], 3, 10, 60)
    [9]
    >>> alert_times([(0, 50), (29, 50), (30, 50)], 3, 10, 30)
    [0, 30]
    >>> alert_times([(0, 40), (10, 40)], 2, 10, 0)
    []
    """
    alerts: list[int] = []
    errors: deque[int] = deque()
    for second, level in entries:
        if level < 40:
            continue
        errors.append(second)
        while errors[0] <= second - window:
            errors.popleft()
        is_due = level >= 50 or len(errors) >= threshold
        if is_due and (not alerts or second - alerts[-1] >= pause):
            alerts.append(second)
    return alerts


BASE_INPUTS = [
    ([], 1, 10, 0),
    ([(1, 40), (4, 40), (5, 20), (9, 40), (10, 40)], 3, 10, 60),
    ([(0, 50), (29, 50), (30, 50)], 3, 10, 30),
    ([(0, 40), (10, 40)], 2, 10, 0),
    ([(0, 40), (9, 40)], 2, 10, 0),
    ([(3, 39), (3, 40), (4, 41)], 1, 5, 0),
    ([(3, 49), (4, 49), (8, 51)], 3, 2, 0),
    ([(7, 40), (7, 40), (7, 40), (7, 20)], 2, 1, 0),
    ([(7, 40), (7, 40), (7, 40)], 2, 1, 1),
    ([(1, 40), (2, 40), (3, 40), (6, 40), (7, 40), (8, 40)], 2, 3, 4),
    ([(0, 40), (1, 10), (2, 40), (5, 40), (6, 40), (7, 30)], 3, 6, 1),
    ([(100, 50), (101, 40), (105, 40), (109, 40)], 4, 10, 5),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([(0, 40)], 1, 1, 0)
    yield ([(0, 39)], 1, 1, 0)
    yield ([(0, 50)], 9, 1, 9)
    yield ([(0, 49)], 2, 1, 0)
    yield ([(-5, 40), (-1, 40), (0, 40)], 2, 5, 0)
    yield ([(-5, 40), (0, 40)], 2, 5, 0)
    yield ([(0, 40), (0, 40), (1, 40)], 3, 1, 0)
    yield ([(0, 50), (0, 50), (1, 50), (2, 50)], 1, 1, 2)
    yield ([(0, 0), (1, 10), (2, 20), (3, 30)], 1, 100, 0)
    yield ([(second, 40) for second in range(100)], 10, 10, 7)
    yield ([(second, 40) for second in range(100)], 10, 9, 7)
    yield ([(second // 5, 40) for second in range(200)], 11, 3, 10)
    yield ([(second * 60, 50) for second in range(100)], 5, 60, 120)
    for _ in range(140):
        second = random.randint(-3, 50)
        entries = []
        for _ in range(random.randint(1, 14)):
            second += random.choice([0, 0, 1, 1, 2, 3, 5])
            entries.append((second, random.choice([10, 30, 39, 40, 40, 40, 40, 49, 50, 60])))
        yield (entries, random.randint(1, 5), random.randint(1, 8), random.randint(0, 8))
