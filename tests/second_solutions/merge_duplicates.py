"""By trees of parents and a check of all pairs at every step."""


def group_duplicates(
    count: int,
    similar: list[tuple[int, int, int]],
    distinct: list[tuple[int, int]],
    least_score: int,
    largest_group: int,
) -> list[list[int]]:
    def top(parents: list[int], record: int) -> int:
        while parents[record] >= 0:
            record = parents[record]
        return record

    parents = [-1] * count
    scores = sorted({score for *_, score in similar if score >= least_score})
    for wanted in reversed(scores):
        for one, other, score in similar:
            if score == wanted and top(parents, one) != top(parents, other):
                trial = parents.copy()
                trial[top(parents, one)] = top(parents, other)
                tops = [top(trial, record) for record in range(count)]
                fits = tops.count(tops[one]) <= largest_group
                if fits and all(tops[left] != tops[right] for left, right in distinct):
                    parents = trial
    groups: dict[int, list[int]] = {}
    for record in range(count):
        groups.setdefault(top(parents, record), []).append(record)
    return sorted(groups.values())
