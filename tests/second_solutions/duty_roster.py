"""By all partial rosters, day after day, in order."""

from itertools import pairwise


def fill_roster(
    skills: list[str], people: list[tuple[str, list[str], list[int], int]], rest: int
) -> list[str] | None:
    rosters: list[tuple[int, ...]] = [()]
    for day, skill in enumerate(skills):
        able = [
            number
            for number, (_, known, days_off, _) in enumerate(people)
            if known.count(skill) and not days_off.count(day)
        ]
        longer = [(*roster, number) for roster in rosters for number in able]
        rosters = [roster for roster in longer if _allowed(roster, people, rest)]
    return [people[number][0] for number in rosters[0]] if rosters else None


def _allowed(
    roster: tuple[int, ...], people: list[tuple[str, list[str], list[int], int]], rest: int
) -> bool:
    days = [day for day, number in enumerate(roster) if number == roster[-1]]
    if len(days) > people[roster[-1]][3]:
        return False
    return all(later - earlier - 1 >= rest for earlier, later in pairwise(days))
