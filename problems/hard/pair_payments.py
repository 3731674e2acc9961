"""Payments and the invoices that they are for: dynamic programming over two sequences."""

from collections import defaultdict
from collections.abc import Iterator
from random import Random

ID = "hard/pair_payments"
TITLE = "Pair invoices with payments"
DIFFICULTY = "hard"
TOPICS = ("two-dimensional dynamic programming", "alignment", "bookkeeping")
ENTRY_POINT = "pair_payments"


def pair_payments(
    invoices: list[tuple[int, int]], payments: list[tuple[int, int]], tolerance: int
) -> list[tuple[int, int]]:
    """Return which payment of a customer belongs to which invoice.

    Invoices and payments are pairs (day, amount in cents), each list in the order in which
    they were made. The result is a list of pairs (i, p): position of an invoice, position of
    its payment, both from 0. Such a list is possible if

    - each invoice and each payment occurs at most once, and both positions rise from pair to
      pair: the customer pays in the order of the invoices;
    - no payment was made on an earlier day than its invoice;
    - the amounts of each pair differ by at most `tolerance` cents.

    Of all possible lists return the best: the one with the most pairs; of several, the one
    with the lowest sum of differences between the amounts of its pairs; of several again, the
    one with the lowest sum of days between invoice and payment; and if still several are
    left, the first in the order in which Python compares lists.

    >>> pair_payments([(1, 500), (2, 700), (3, 700)], [(4, 500), (9, 702)], 5)
    [(0, 0), (2, 1)]
    >>> pair_payments([(1, 500), (2, 300)], [(2, 300), (5, 500)], 0)
    [(1, 0)]
    """

    def rank(pairs: list[tuple[int, int]]) -> tuple[int, int, int, list[tuple[int, int]]]:
        differences = sum(abs(payments[p][1] - invoices[i][1]) for i, p in pairs)
        days = sum(payments[p][0] - invoices[i][0] for i, p in pairs)
        return -len(pairs), differences, days, pairs

    # best[i, p] is the best list for the invoices from i on and the payments from p on
    best: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for i in reversed(range(len(invoices))):
        for p in reversed(range(len(payments))):
            choices = [best[i + 1, p], best[i, p + 1]]
            in_time = payments[p][0] >= invoices[i][0]
            if in_time and abs(payments[p][1] - invoices[i][1]) <= tolerance:
                choices.append([(i, p), *best[i + 1, p + 1]])
            best[i, p] = min(choices, key=rank)
    return best[0, 0]


BASE_INPUTS = [
    ([], [(1, 500)], 0),
    ([(1, 500)], [], 0),
    ([(1, 500), (2, 700), (3, 700)], [(4, 500), (9, 702)], 5),
    ([(1, 500), (2, 300)], [(2, 300), (5, 500)], 0),
    ([(5, 100), (5, 100)], [(4, 100), (5, 100), (6, 101), (6, 102)], 1),
    ([(1, 100), (2, 102), (3, 104)], [(4, 102), (5, 103)], 2),
    ([(1, 100), (1, 100)], [(3, 100), (3, 100), (3, 100)], 0),
    ([(1, 200), (1, 300), (1, 400)], [(2, 400), (3, 200), (4, 300)], 0),
    ([(1, 50), (2, 60)], [(7, 60), (7, 50), (8, 61)], 10),
    ([(1, 10), (3, 10)], [(2, 12), (3, 8), (9, 10)], 2),
    ([(1, 10), (4, 10), (6, 10)], [(5, 10)], 0),
    ([(-3, -20), (-2, 0), (0, 5)], [(-2, -21), (0, 6), (1, 6)], 1),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([], [], 0)
    yield ([(1, 0)], [(1, 0)], 0)
    yield ([(2, 5)], [(1, 5)], 100)
    yield ([(1, 5)], [(1, 6), (1, 4), (1, 5)], 1)
    yield ([(day, 100) for day in range(25)], [(day + 3, 100) for day in range(25)], 0)
    yield ([(day, 100 + day) for day in range(25)], [(30, 120 - day) for day in range(25)], 3)
    for size in range(120):
        most = size // 10 + 3
        invoices, payments = (
            sorted((random.randint(first, 12), 0) for _ in range(random.randint(1, most)))
            for first in (1, 3)
        )
        around = random.choice([1, 2, 4])
        yield (
            [(day, random.randint(100, 100 + around)) for day, _ in invoices],
            [(day, random.randint(100, 100 + around)) for day, _ in payments],
            random.randint(0, 2),
        )
