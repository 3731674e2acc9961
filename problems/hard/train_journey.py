"""The earliest arrival by timetable, where changing trains takes time."""

from collections.abc import Iterator
from random import Random

ID = "hard/train_journey"
TITLE = "Find a journey in a timetable"
DIFFICULTY = "hard"
TOPICS = ("shortest paths with constraints", "dynamic programming", "timetables")
ENTRY_POINT = "find_journey"


def find_journey(
    rides: list[tuple[str, str, int, str, int]],
    change_minutes: dict[str, int],
    start: str,
    goal: str,
    earliest: int,
) -> tuple[int, list[str]] | None:
    """Return when one can be at `goal` at the earliest, and with which trains.

    A ride (train, from, departure, to, arrival) is a part of a train's way between two stops
    that follow each other; times are minutes, and the departure is before the arrival. The
    rides come in any order. A train is never in two places at once.

    A traveller who is at `start` from minute `earliest` on can take any ride from there that
    departs then or later. After a ride, the traveller can take any later ride of the same
    train from the stop reached; or a ride of another train from that stop that departs at
    least `change_minutes[stop]` minutes (0 or more) after the arrival. Nobody can change
    trains at a stop that is not in `change_minutes`.

    Of the journeys with the earliest arrival, take the one with the fewest trains; of these,
    the one whose list of trains is the first in the order in which Python compares lists. The
    list has the trains in the order in which they are used, each change of trains adds one.

    If `start` is `goal`, the answer is (`earliest`, []). If there is no journey, it is None.

    >>> rides = [("S1", "A", 10, "B", 20), ("S1", "B", 21, "C", 40), ("S2", "B", 25, "C", 35)]
    >>> find_journey(rides, {"B": 5}, "A", "C", 0)
    (35, ['S1', 'S2'])
    >>> find_journey(rides, {"B": 6}, "A", "C", 10)
    (40, ['S1'])
    """
    if start == goal:
        return earliest, []
    reached: list[tuple[str, int, list[str]]] = []
    for train, origin, departure, stop, arrival in sorted(rides, key=lambda ride: ride[2]):
        choices = [[train]] if origin == start and departure >= earliest else []
        for place, since, trains in reached:
            if place != origin:
                continue
            if trains[-1] == train:
                choices.append(trains)
            elif place in change_minutes and since + change_minutes[place] <= departure:
                choices.append([*trains, train])
        if choices:
            reached.append((stop, arrival, min(choices, key=_rank)))
    journeys = [(arrival, _rank(trains)) for stop, arrival, trains in reached if stop == goal]
    if not journeys:
        return None
    arrival, (_, trains) = min(journeys)
    return arrival, trains


def _rank(trains: list[str]) -> tuple[int, list[str]]:
    return len(trains), trains


BASE_INPUTS = [
    ([], {}, "A", "B", 0),
    ([], {}, "A", "A", 7),
    ([("S1", "A", 10, "B", 20), ("S1", "B", 21, "A", 40)], {}, "A", "A", 5),
    (
        [("S1", "A", 10, "B", 20), ("S1", "B", 21, "C", 40), ("S2", "B", 25, "C", 35)],
        {"B": 5}, "A", "C", 0,
    ),
    (
        [("S1", "A", 10, "B", 20), ("S1", "B", 21, "C", 40), ("S2", "B", 25, "C", 35)],
        {"B": 6}, "A", "C", 10,
    ),
    ([("S1", "A", 10, "B", 20), ("S2", "A", 15, "B", 30)], {"A": 0}, "A", "B", 11),
    ([("S1", "A", 10, "B", 20), ("S2", "B", 30, "C", 40)], {"A": 0, "C": 0}, "A", "C", 0),
    (
        [("S3", "A", 0, "C", 50), ("S2", "B", 20, "C", 50), ("S1", "A", 1, "B", 20)],
        {"B": 0}, "A", "C", 0,
    ),
    (
        [("X", "B", 30, "A", 50), ("P", "Z", 5, "B", 10), ("K", "Z", 6, "B", 10)],
        {"B": 1}, "Z", "A", 5,
    ),
    (
        [
            ("S1", "A", 1, "B", 2), ("S2", "B", 3, "C", 9),
            ("S3", "B", 4, "C", 8), ("S3", "C", 8, "D", 9),
        ],
        {"B": 0}, "A", "D", 1,
    ),
    (
        [
            ("T", "A", 1, "B", 5), ("S", "A", 2, "B", 4),
            ("T", "B", 6, "C", 8), ("U", "C", 8, "D", 9),
        ],
        {"B": 1, "C": 0}, "A", "D", 1,
    ),
    (
        [
            ("T", "Z", 1, "B", 5), ("S", "A", 2, "B", 4),
            ("T", "B", 5, "C", 8), ("R", "B", 3, "C", 5),
        ],
        {"B": 1, "C": 0}, "A", "C", 0,
    ),
    ([("S1", "A", 1, "B", 2), ("S1", "B", 2, "A", 3), ("S1", "A", 4, "C", 5)], {}, "A", "C", 1),
]  # fmt: skip


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([("S1", "A", 1, "B", 2)], {}, "B", "A", 0)
    yield ([("S1", "A", -5, "B", -2), ("S2", "B", -2, "C", 0)], {"B": 0}, "A", "C", -5)
    yield ([("", "Ä", 1, "Ö", 2), ("é", "Ö", 2, "Ü", 3)], {"Ö": 0}, "Ä", "Ü", 1)
    line = [("S", str(n), 10 * n, str(n + 1), 10 * n + 9) for n in range(40)]
    yield (line, {}, "0", "40", 0)
    yield (line, {}, "5", "30", 51)
    yield ([(f"S{r[2]}", *r[1:]) for r in line], {str(n): n // 39 for n in range(41)}, "0", "40", 0)
    yield ([(f"S{r[2]}", *r[1:]) for r in line], {str(n): n // 20 for n in range(41)}, "0", "40", 0)
    for size in range(120):
        stops = "ABCDE"[: 3 + size // 50]
        rides = []
        for train in random.sample(["S1", "S2", "S3", "S4", "S5"], k=2 + size // 40):
            stop, now = random.choice(stops), random.randint(0, 8)
            for _ in range(random.randint(1, 5)):
                after = random.choice(stops.replace(stop, ""))
                arrival = now + random.randint(1, 4)
                rides.append((train, stop, now, after, arrival))
                stop, now = after, arrival + random.randint(0, 2)
        random.shuffle(rides)
        minutes = {stop: random.randint(0, 2) for stop in stops if random.random() < 0.8}
        yield (rides, minutes, "A", random.choice("BC"), random.randint(0, 4))
