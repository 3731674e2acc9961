"""Waiting times at a desk with several agents."""

from collections.abc import Iterator
from heapq import heapreplace
from random import Random

ID = "medium/support_desk"
TITLE = "Waiting times at a support desk"
DIFFICULTY = "medium"
TOPICS = ("simulation", "queues", "heaps")
ENTRY_POINT = "waiting_times"


def waiting_times(
    callers: list[tuple[int, int, int]], agents: int, opens: int, closes: int
) -> list[int | None]:
    """Return how many minutes each caller of a support desk waits, or None if not served.

    `callers` are (arrival, duration, patience) in ascending order of arrival; callers with
    the same arrival stand in line in the order given. All times are whole minutes;
    durations are 1 or more, patience is 0 or more.

    The desk has `agents` agents (1 or more) and works from minute `opens`; callers may
    arrive before that and wait. The first caller in line is served as soon as an agent is
    free, and then takes that agent for `duration` minutes: an agent who begins at minute 10
    with a duration of 5 is free again at minute 15, just in time for a caller then.

    A caller who would have to wait for more than `patience` minutes, or could not begin
    before minute `closes`, is not served: he leaves and takes none of the agents' time.
    Talks that began before `closes` are finished in full.

    >>> waiting_times([(0, 10, 5), (2, 10, 8), (3, 10, 16), (30, 5, 0)], 1, 0, 60)
    [0, 8, None, 0]
    >>> waiting_times([(0, 10, 9), (0, 4, 9), (1, 4, 9), (7, 9, 9)], 2, 3, 11)
    [3, 3, 6, None]
    """
    free_at = [opens] * agents  # a heap: the agent who is free first is at its head
    waits: list[int | None] = []
    for arrival, duration, patience in callers:
        begin = max(arrival, free_at[0])
        if begin - arrival > patience or begin >= closes:
            waits.append(None)
        else:
            waits.append(begin - arrival)
            heapreplace(free_at, begin + duration)
    return waits


BASE_INPUTS = [
    ([(0, 10, 5), (2, 10, 8), (3, 10, 16), (30, 5, 0)], 1, 0, 60),
    ([(0, 10, 9), (0, 4, 9), (1, 4, 9), (7, 9, 9)], 2, 3, 11),
    ([], 3, 0, 10),
    ([(5, 5, 0), (10, 5, 0), (14, 5, 0), (15, 1, 0)], 1, 0, 60),
    ([(0, 5, 9), (1, 5, 3), (2, 5, 3), (3, 5, 9)], 1, 0, 60),
    ([(9, 100, 0), (10, 1, 0)], 2, 0, 10),
    ([(0, 8, 0), (0, 4, 0), (0, 6, 0), (0, 1, 3), (0, 1, 4), (1, 1, 9)], 3, 0, 50),
    ([(-5, 1, 5), (-5, 1, 5), (-4, 1, 5)], 1, 0, 9),
    ([(0, 1, 9)], 1, 5, 5),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([(0, 1, 0)], 1, 0, 1)
    yield ([(0, 1, 0)], 1, 0, 0)
    yield ([(0, 1, 0)], 1, 1, 9)
    yield ([(0, 1, 1)], 1, 1, 9)
    yield ([(0, 1, 1)], 1, 1, 1)
    yield ([(1, 1, 0)], 1, 0, 1)
    yield ([(0, 5, 0), (4, 5, 0), (5, 5, 0)], 1, 0, 9)
    yield ([(0, 5, 0), (0, 5, 4), (0, 5, 5)], 1, 0, 9)
    yield ([(0, 5, 9), (0, 5, 9), (0, 5, 9)], 2, 0, 5)
    yield ([(0, 5, 9), (0, 5, 9), (0, 5, 9)], 2, 0, 6)
    yield ([(0, 5, 9)] * 9, 4, 0, 10)
    yield ([(0, 3, 100)] * 60, 5, 2, 30)
    yield ([(minute, 7, 4) for minute in range(100)], 3, 10, 90)
    yield ([(minute // 3, 10, 12) for minute in range(200)], 20, 0, 60)
    for _ in range(140):
        arrival = random.randint(-3, 3)
        callers = []
        for _ in range(random.randint(1, 9)):
            arrival += random.choice([0, 0, 1, 1, 2, 4])
            callers.append((arrival, random.randint(1, 7), random.randint(0, 6)))
        opens = random.randint(-2, 3)
        yield (callers, random.randint(1, 3), opens, opens + random.randint(0, 15))
