"""Split a row of documents into envelopes at the lowest postage."""

from collections.abc import Iterator
from random import Random

ID = "medium/parcel_postage"
TITLE = "Cheapest postage for documents in order"
DIFFICULTY = "medium"
TOPICS = ("dynamic programming", "optimization")
ENTRY_POINT = "cheapest_postage"


def cheapest_postage(weights: list[int], rates: list[tuple[int, int]]) -> int | None:
    """Return the lowest postage in cents for sending documents, or None if it cannot be done.

    `weights` are the documents' weights in grams (1 or more each), in the order in which
    they have to arrive. The documents are put into envelopes in that order: each envelope
    holds one or more documents that follow one another, and none may be skipped or
    divided.

    `rates` are pairs (limit, price) in any order: an envelope whose documents weigh
    `limit` grams or less in all may be sent for `price` cents (0 or more). Any rate may be
    used for any number of envelopes. A higher limit is not always dearer.

    No documents cost 0, with any rates. If a document exceeds every limit, or there are
    documents but no rates, return None.

    >>> cheapest_postage([10, 15, 40], [(20, 85), (50, 100)])
    200
    >>> cheapest_postage([10, 10, 30], [(20, 85), (50, 100)])
    100
    >>> cheapest_postage([10, 60], [(20, 85), (50, 100)]) is None
    True
    """
    best: list[int | None] = [0]  # best[n]: the lowest postage for the first n documents
    for end in range(1, len(weights) + 1):
        options = [
            postage + price
            for start, postage in enumerate(best)
            for limit, price in rates
            if postage is not None and sum(weights[start:end]) <= limit
        ]
        best.append(min(options, default=None))
    return best[-1]


BASE_INPUTS = [
    ([10, 15, 40], [(20, 85), (50, 100)]),
    ([10, 10, 30], [(20, 85), (50, 100)]),
    ([10, 60], [(20, 85), (50, 100)]),
    ([60, 10], [(20, 85), (50, 100)]),
    ([], [(20, 85)]),
    ([], []),
    ([5], []),
    ([20], [(20, 85)]),
    ([21], [(20, 85)]),
    ([30, 20, 1, 19, 30], [(50, 100), (20, 40)]),
    ([7, 7, 7, 7], [(14, 60), (7, 25), (28, 110)]),
    ([5, 5], [(5, 90), (10, 30), (20, 20)]),
    ([3, 3], [(10, 0)]),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([1], [(1, 1)])
    yield ([2], [(1, 1)])
    yield ([1, 1], [(1, 1)])
    yield ([1, 2, 1], [(1, 1)])
    yield ([1, 1, 1], [(3, 4), (1, 1)])
    yield ([1, 1, 1], [(3, 2), (1, 1)])
    yield ([4, 1, 4, 1, 4], [(5, 10), (6, 11), (9, 15)])
    yield ([4, 4, 1], [(5, 10), (8, 12), (1, 1)])
    yield ([9, 1], [(8, 1)])
    yield ([1, 9], [(8, 1)])
    yield ([1, 9, 1], [(8, 1), (8, 2)])
    yield ([1] * 25, [(7, 10), (4, 6), (1, 2)])
    yield ([1000, 2000, 3000], [(2000, 5), (6000, 9), (3000, 2)])
    yield (list(range(1, 21)), [(20, 100), (50, 190), (100, 350)])
    for _ in range(140):
        weights = [random.randint(1, 6) for _ in range(random.randint(1, 9))]
        rates = [
            (random.randint(4, 16), random.randint(0, 12)) for _ in range(random.randint(1, 4))
        ]
        yield (weights, rates)
