"""Groups of records that are probably the same customer: union-find with a veto."""

from collections.abc import Iterator
from random import Random

ID = "hard/merge_duplicates"
TITLE = "Group duplicate customer records"
DIFFICULTY = "hard"
TOPICS = ("union-find", "record linkage", "sorting")
ENTRY_POINT = "group_duplicates"


def group_duplicates(
    count: int,
    similar: list[tuple[int, int, int]],
    distinct: list[tuple[int, int]],
    least_score: int,
    largest_group: int,
) -> list[list[int]]:
    """Return the groups of records that are taken for the same customer.

    The records are numbered 0 to `count` - 1; at first each is a group of its own.

    `similar` holds triples (one, other, score): a comparison of two records. Those with a
    score of at least `least_score` are looked at by descending score, those of the same score
    in the order given. The groups of the two records are joined, unless

    - the joined group would have more than `largest_group` records, or
    - it would hold both records of a pair in `distinct`, which a person has found to be
      different customers.

    A comparison that was passed over is not looked at again. In a triple or pair, the two
    records may come in either order, but are never the same; pairs may be given repeatedly.

    Every record is in exactly one of the groups returned. Each group is ascending, and the
    groups are ordered by their first record.

    >>> group_duplicates(5, [(0, 1, 80), (3, 1, 95), (2, 4, 70)], [], 75, 3)
    [[0, 1, 3], [2], [4]]
    >>> group_duplicates(4, [(0, 1, 90), (1, 2, 90), (2, 3, 80)], [(3, 1), (0, 2)], 0, 4)
    [[0, 1], [2, 3]]
    """
    members = {record: [record] for record in range(count)}
    group_of = list(members)
    banned: dict[int, set[int]] = {record: set() for record in members}
    for one, other in distinct:
        banned[one].add(other)
        banned[other].add(one)
    for one, other, score in sorted(similar, key=lambda comparison: -comparison[2]):
        kept, joined = group_of[one], group_of[other]
        if (
            score >= least_score
            and kept != joined
            and len(members[kept]) + len(members[joined]) <= largest_group
            and banned[kept].isdisjoint(members[joined])
        ):
            for record in members[joined]:
                group_of[record] = kept
            members[kept] += members.pop(joined)
            banned[kept] |= banned.pop(joined)
    return sorted(sorted(group) for group in members.values())


BASE_INPUTS = [
    (0, [], [], 50, 2),
    (3, [], [(0, 1)], 50, 2),
    (5, [(0, 1, 80), (3, 1, 95), (2, 4, 70)], [], 75, 3),
    (4, [(0, 1, 90), (1, 2, 90), (2, 3, 80)], [(3, 1), (0, 2)], 0, 4),
    (4, [(0, 1, 50), (1, 2, 49), (2, 3, 51)], [], 50, 4),
    (5, [(0, 1, 9), (2, 3, 8), (1, 2, 7), (3, 4, 6)], [], 0, 3),
    (4, [(0, 1, 9), (2, 3, 9), (1, 3, 9)], [], 0, 4),
    (6, [(0, 1, 9), (2, 3, 9), (1, 3, 8), (4, 1, 7), (5, 3, 6)], [(0, 5), (4, 2)], 0, 5),
    (6, [(1, 0, 9), (3, 2, 9), (3, 1, 8), (1, 4, 7), (3, 5, 6)], [(5, 0), (2, 4)], 0, 5),
    (3, [(2, 1, 5), (0, 1, 5)], [(2, 0), (2, 0)], 0, 3),
    (4, [(0, 1, -1), (1, 0, -3), (2, 1, -2), (0, 2, -2), (3, 0, -2)], [], -2, 3),
    (2, [(0, 1, 99)], [], 0, 1),
    (4, [(3, 0, 10), (0, 3, 8), (3, 1, 7), (2, 1, 9)], [(1, 0)], 7, 4),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield (1, [], [], 0, 1)
    yield (5, [(0, 1, 5)] * 4 + [(2, 1, 5)] * 3, [], 5, 3)
    yield (3, [(0, 1, 1), (1, 2, 1), (0, 2, 1)], [(0, 1), (1, 2), (0, 2)], 0, 3)
    yield (60, [(n, n + 1, 1) for n in range(59)], [], 1, 60)
    yield (60, [(n, n + 1, n) for n in range(59)], [(n, n + 30) for n in range(30)], 1, 60)
    yield (60, [(n, 59 - n, n % 7) for n in range(59)], [(0, 30)], 2, 4)
    for size in range(120):
        count = random.randint(2, 5 + size // 8)
        similar = [
            (*random.sample(range(count), 2), random.randint(0, 6)) for _ in range(size // 3 + 2)
        ]
        distinct = [
            tuple(random.sample(range(count), 2)) for _ in range(random.randint(0, count // 2))
        ]
        yield (count, similar, distinct, random.randint(0, 3), random.randint(2, count))
