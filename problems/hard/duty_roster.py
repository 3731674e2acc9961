"""Who works on which day: backtracking over a few rules."""

from collections.abc import Iterator
from random import Random

ID = "hard/duty_roster"
TITLE = "Fill a duty roster"
DIFFICULTY = "hard"
TOPICS = ("backtracking", "constraint satisfaction", "scheduling")
ENTRY_POINT = "fill_roster"


def fill_roster(
    skills: list[str], people: list[tuple[str, list[str], list[int], int]], rest: int
) -> list[str] | None:
    """Return who is on duty on each day, or None if the roster cannot be filled.

    Day number d (from 0) needs one person who has the skill `skills[d]`.

    `people` holds for each person: the name (no two are the same), the skills, the days off,
    and the highest number of days that the person may be given in all.

    - Nobody is on duty on a day off.
    - After a day on duty, everybody has at least `rest` days (0 or more) without duty before
      the next one.

    Of all rosters that keep these rules, return the first: for day 0 the person who comes
    first in `people` with whom all further days can be filled too, then likewise for day 1,
    and so on. Without any days, the roster is empty.

    >>> people = [("Ann", ["till", "phone"], [], 2), ("Bo", ["phone"], [2], 2)]
    >>> fill_roster(["phone", "till", "phone"], people, 0)
    ['Bo', 'Ann', 'Ann']
    >>> fill_roster(["phone", "till", "phone"], people, 1) is None
    True
    """
    roster: list[str] = []

    def fill() -> bool:
        day = len(roster)
        if day == len(skills):
            return True
        resting = roster[max(day - rest, 0) :]
        for name, able, days_off, most in people:
            if (
                skills[day] in able
                and day not in days_off
                and roster.count(name) < most
                and name not in resting
            ):
                roster.append(name)
                if fill():
                    return True
                roster.pop()
        return False

    return roster if fill() else None


BASE_INPUTS = [
    ([], [], 0),
    ([], [("Ann", ["x"], [], 1)], 2),
    (["x"], [], 0),
    (
        ["phone", "till", "phone"],
        [("Ann", ["till", "phone"], [], 2), ("Bo", ["phone"], [2], 2)],
        0,
    ),
    (
        ["phone", "till", "phone"],
        [("Ann", ["till", "phone"], [], 2), ("Bo", ["phone"], [2], 2)],
        1,
    ),
    (["x", "x", "x"], [("Bo", ["x"], [], 3), ("Ann", ["x"], [], 3)], 0),
    (["x", "x", "x", "x"], [("Bo", ["x"], [], 9), ("Ann", ["x"], [], 9)], 1),
    (
        ["x", "x", "x", "x", "x"],
        [("A", ["x"], [], 1), ("B", ["x"], [], 2), ("C", ["x"], [0], 2)],
        2,
    ),
    (["x", "x", "x"], [("A", ["x"], [], 2), ("B", ["x"], [], 2), ("C", ["x"], [], 2)], 3),
    (["x", "x", "y"], [("A", ["x", "y"], [], 1), ("B", ["x"], [], 2)], 0),
    (["x", "y", "x", "y"], [("A", ["x", "y"], [1], 4), ("B", ["y", "x"], [0, 3], 1)], 0),
    (["x", "x"], [("A", ["x"], [], 0), ("B", ["x"], [1], 5), ("C", ["z"], [], 2)], 0),
    (["x", "x", "x"], [("A", ["x"], [0], 1), ("B", ["x"], [2], 2), ("C", ["x"], [], 1)], 3),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield (["x"], [("A", [], [], 1)], 0)
    yield ([""], [("A", ["x"], [], 1), ("", [""], [], 1)], 5)
    yield (["x", "x"], [("A", ["x"], [7, -1], 2)], 0)
    yield (["x", "x"], [("A", ["x"], [], 2)], 1)
    yield (["x"] * 7, [("A", ["x"], [], 3), ("B", ["x"], [], 4)], 0)
    yield (["x"] * 7, [("A", ["x"], [], 3), ("B", ["x"], [], 4)], 1)
    yield (["x"] * 7, [("A", ["x"], [], 4), ("B", ["x"], [], 3)], 1)
    yield (["x"] * 6 + ["y"], [("A", ["x", "y"], [], 2), ("B", ["x"], [], 5)], 0)
    for size in range(120):
        days = random.randint(1, 3 + size // 30)
        people = [
            (
                name,
                random.choice([["x"], ["y"], ["x", "y"], ["y", "x"]]),
                random.sample(range(days), k=random.randint(0, days // 3)),
                random.randint(1, 3),
            )
            for name in random.sample(["Ann", "Bo", "Cy", "Di"], k=random.randint(2, 4))
        ]
        yield (random.choices("xxy", k=days), people, random.choice([0, 0, 1, 1, 2, 3]))
