"""From a running number to a row and a place."""

from collections.abc import Iterator
from random import Random

ID = "easy/seat_label"
TITLE = "Find a seat in the theatre"
DIFFICULTY = "easy"
TOPICS = ("arithmetic", "validation", "tickets")
ENTRY_POINT = "seat_label"


def seat_label(number: int, seats_per_row: int) -> str:
    """Return what is printed on the ticket for a seat of a theatre.

    The seats are numbered through the whole hall, starting with 1 at the first place of the
    first row. Every row has `seats_per_row` seats (at least 1). Rows are called A, B, C and so
    on up to Z, and the places within a row 1, 2, 3 and so on. The label is the row followed by
    the place: "C7".

    A number below 1 raises ValueError, and so does a number that lies behind the last seat of
    row Z.

    >>> seat_label(1, 10)
    'A1'
    >>> seat_label(10, 10)
    'A10'
    >>> seat_label(27, 10)
    'C7'
    """
    if not 1 <= number <= 26 * seats_per_row:
        raise ValueError(f"there is no seat {number}")
    row, place = divmod(number - 1, seats_per_row)
    return f"{chr(ord('A') + row)}{place + 1}"


BASE_INPUTS = [
    (1, 10),
    (10, 10),
    (27, 10),
    (11, 10),
    (260, 10),
    (261, 10),
    (0, 10),
    (-3, 10),
    (26, 1),
    (27, 1),
    (312, 12),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for seats_per_row in (1, 2, 9, 25, 26, 27, 100):
        last = 26 * seats_per_row
        for number in (-last, -1, 0, 1, 2, seats_per_row, seats_per_row + 1, last - 1, last):
            yield number, seats_per_row
        yield last + 1, seats_per_row
        yield 2 * last, seats_per_row
    for _ in range(60):
        seats_per_row = random.randint(1, 40)
        yield random.randint(1, 26 * seats_per_row), seats_per_row
