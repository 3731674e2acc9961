"""The line above a page of search results."""

from collections.abc import Iterator
from random import Random

ID = "easy/results_caption"
TITLE = "Caption of a page of results"
DIFFICULTY = "easy"
TOPICS = ("arithmetic", "validation", "paging")
ENTRY_POINT = "results_caption"


def results_caption(total: int, page: int, page_size: int) -> str:
    """Return the line that a search shows above one page of its results.

    There are `total` results (0 or more), shown in pages of `page_size` (1 or more); only the
    last page may have fewer. Results and pages are numbered from 1. The caption says which
    results are on the page, joined by "-", and how many there are: "21-40 of 57". If just one
    result is on the page, its number is written once: "57 of 57".

    Without any results the caption of page 1 is "no results". A page below 1 and a page without
    results, other than page 1, raise ValueError.

    >>> results_caption(57, 2, 20)
    '21-40 of 57'
    >>> results_caption(57, 3, 20)
    '41-57 of 57'
    >>> results_caption(0, 1, 20)
    'no results'
    """
    first = (page - 1) * page_size + 1
    last = min(page * page_size, total)
    if page < 1 or (page > 1 and first > total):
        raise ValueError(f"there is no page {page}")
    if total == 0:
        return "no results"
    return f"{first} of {total}" if first == last else f"{first}-{last} of {total}"


BASE_INPUTS = [
    (57, 2, 20),
    (57, 3, 20),
    (0, 1, 20),
    (57, 1, 20),
    (57, 4, 20),
    (57, 0, 20),
    (0, 2, 20),
    (0, 0, 20),
    (41, 3, 20),
    (40, 3, 20),
    (40, 2, 20),
    (1, 1, 20),
    (3, 2, 1),
    (3, -1, 1),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for total in (0, 1, 2, 3, 4):
        for page in (-1, 0, 1, 2, 3):
            for page_size in (1, 2, 3):
                yield total, page, page_size
    yield 10**12, 10**11, 10
    for _ in range(80):
        page_size = random.choice((1, 5, 10, 25))
        total = random.randint(0, 12 * page_size)
        yield total, random.randint(1, total // page_size + 2), page_size
