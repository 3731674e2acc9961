"""Seats of a train, where a seat can be sold again once its passenger has left."""

from collections.abc import Iterator
from random import Random

ID = "hard/train_seats"
TITLE = "Reserve seats on parts of a train's way"
DIFFICULTY = "hard"
TOPICS = ("reservations", "intervals", "allocation", "business rules")
ENTRY_POINT = "reserve_seats"


def reserve_seats(
    row_lengths: list[int], requests: list[tuple[int, int, int]]
) -> list[list[tuple[int, int]]]:
    """Return the seats that each of some groups gets in a train, as (row, number), ascending.

    The rows are numbered from 1, as are the seats within each; `row_lengths` tells how many
    seats the rows have. A request (first, last, people) is for the way from stop `first` to
    stop `last`, with `first` < `last` and at least one person. A seat is free for it if
    nobody who has that seat travels on any part of that way; whoever arrives at a stop makes
    room for those who leave from it. The requests are served in the order given:

    1. Side by side: if there are rows with that many free seats next to each other, the
       group gets such seats in the row, of these rows, that has the fewest free seats in
       all (the first of several), there those with the lowest numbers.
    2. Otherwise, if so many seats are free in one row, but not side by side, the group gets
       the free seats with the lowest numbers of the first such row.
    3. Otherwise, the group gets the first free seats of the train, row by row.
    4. If fewer seats are free in all, the group gets none: an empty list.

    >>> reserve_seats([3, 2], [(1, 4, 2), (1, 2, 1), (2, 3, 3), (1, 4, 1)])
    [[(2, 1), (2, 2)], [(1, 1)], [(1, 1), (1, 2), (1, 3)], []]
    >>> reserve_seats([3], [(1, 3, 1), (1, 2, 1), (1, 3, 1), (1, 2, 1), (2, 3, 1)])
    [[(1, 1)], [(1, 2)], [(1, 3)], [], [(1, 2)]]
    """
    taken: dict[tuple[int, int], list[tuple[int, int]]] = {
        (row, number): []
        for row, length in enumerate(row_lengths, 1)
        for number in range(1, length + 1)
    }
    answers = []
    for first, last, people in requests:
        free = [
            seat
            for seat, ways in taken.items()
            if all(last <= begin or end <= first for begin, end in ways)
        ]
        seats = _chosen(free, people)
        for seat in seats:
            taken[seat].append((first, last))
        answers.append(seats)
    return answers


def _chosen(free: list[tuple[int, int]], people: int) -> list[tuple[int, int]]:
    """Return the seats for a group; `free` is ascending."""
    rows: dict[int, list[tuple[int, int]]] = {}
    for seat in free:
        rows.setdefault(seat[0], []).append(seat)
    for row in sorted(rows.values(), key=len):
        for block in zip(*(row[skipped:] for skipped in range(people)), strict=False):
            if block[-1][1] - block[0][1] == people - 1:
                return list(block)
    for row in [*rows.values(), free]:
        if len(row) >= people:
            return row[:people]
    return []


BASE_INPUTS = [
    ([4, 4], []),
    ([], [(1, 2, 1)]),
    ([3, 2], [(1, 4, 2), (1, 2, 1), (2, 3, 3), (1, 4, 1)]),
    ([3], [(1, 3, 1), (1, 2, 1), (1, 3, 1), (1, 2, 1), (2, 3, 1)]),
    ([2, 2, 2], [(1, 5, 1), (1, 5, 1), (1, 5, 2), (2, 3, 3), (2, 3, 2)]),
    ([4], [(1, 9, 1), (1, 3, 1), (1, 9, 1), (4, 6, 2), (3, 4, 2)]),
    ([3, 5], [(1, 2, 2), (1, 2, 1), (2, 5, 4), (4, 5, 4), (1, 5, 1), (3, 4, 1)]),
    (
        [3, 3, 4],
        [
            (1, 4, 1),
            (1, 2, 1),
            (1, 4, 1),
            (1, 4, 1),
            (1, 2, 1),
            (1, 4, 1),
            (1, 3, 3),
            (2, 3, 2),
            (2, 3, 1),
            (2, 3, 2),
            (3, 4, 5),
        ],
    ),
    ([1, 0, 1, 2], [(-3, 0, 3), (0, 7, 1), (-1, 1, 1), (-1, 0, 1), (0, 1, 4)]),
    ([3, 3], [(1, 3, 1), (1, 9, 1), (4, 6, 2)]),
    ([5], [(1, 4, 2), (1, 2, 1), (1, 4, 1), (2, 4, 2), (2, 4, 1)]),
    ([2, 3], [(1, 3, 1), (1, 2, 4), (2, 3, 4), (2, 3, 5), (2, 3, 1)]),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([1], [(1, 2, 1)] * 3)
    yield ([0, 0], [(1, 2, 1)])
    yield ([6], [(1, 2, 7), (1, 2, 6), (2, 3, 6), (1, 3, 1)])
    yield ([20, 20, 20], [(stop, stop + 3, 7) for stop in range(1, 20)])
    yield ([3, 3], [(1, 5, 2), (2, 4, 2), (3, 6, 2), (4, 6, 3), (5, 6, 6)])
    yield ([4, 4, 4], [(stop, 9, 1) for stop in range(8, 0, -1)] + [(1, 8, 4), (7, 8, 3)])
    for size in range(120):
        row_lengths = [random.randint(1, 5) for _ in range(random.randint(1, 4))]
        requests = []
        for _ in range(size // 6 + 4):
            first = random.randint(1, 5)
            people = random.choice([1, 1, 1, 2, 2, 3, 4, 6])
            requests.append((first, first + random.randint(1, 4), people))
        yield (row_lengths, requests)
