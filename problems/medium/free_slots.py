"""Free times of a room that is cleaned after each booking."""

from collections.abc import Iterator
from random import Random

ID = "medium/free_slots"
TITLE = "Free slots between bookings"
DIFFICULTY = "medium"
TOPICS = ("intervals", "sorting", "calendars")
ENTRY_POINT = "free_slots"


def free_slots(
    bookings: list[tuple[int, int]], opens: int, closes: int, cleaning: int, minimum: int
) -> list[tuple[int, int]]:
    """Return the free times of a meeting room on one day, as (start, end), earliest first.

    All times are minutes since midnight. `bookings` are pairs (start, end) with
    start < end, in any order; they may overlap, touch, repeat, and lie partly or wholly
    outside the opening hours (times may even be negative). A booking takes the room from
    its start up to, but not including, its end. After each booking the room is cleaned for
    `cleaning` minutes (0 or more), during which it is not free either; a cleaning may
    reach into the opening hours or into the next booking, which it does not delay.

    A free time lies within the opening hours, from `opens` to `closes` (opens <= closes),
    is as long as possible, and lasts at least `minimum` minutes (1 or more); shorter ones
    are left out.

    >>> free_slots([(660, 720), (540, 600)], 480, 1020, 15, 30)
    [(480, 540), (615, 660), (735, 1020)]
    >>> free_slots([(440, 475)], 480, 500, 10, 15)
    [(485, 500)]
    >>> free_slots([], 600, 600, 0, 1)
    []
    """
    slots = []
    free_from = opens
    for start, end in [*sorted(bookings), (closes, closes)]:
        free_until = min(start, closes)
        if free_until - free_from >= minimum:
            slots.append((free_from, free_until))
        free_from = max(free_from, end + cleaning)
    return slots


BASE_INPUTS = [
    ([(660, 720), (540, 600)], 480, 1020, 15, 30),
    ([], 480, 1020, 0, 30),
    ([], 600, 600, 0, 1),
    ([(440, 475)], 480, 500, 10, 15),
    ([(440, 475)], 480, 500, 10, 16),
    ([(500, 600), (520, 540)], 480, 700, 5, 10),
    ([(480, 500), (500, 520)], 480, 540, 0, 20),
    ([(500, 510), (510, 515), (530, 600)], 480, 560, 0, 15),
    ([(300, 400), (1100, 1200)], 480, 1020, 30, 60),
    ([(400, 1100)], 480, 1020, 0, 1),
    ([(500, 510), (500, 510), (511, 512)], 490, 530, 0, 1),
    ([(-60, -30)], 0, 1440, 45, 60),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([(10, 20)], 0, 30, 0, 10)
    yield ([(10, 20)], 0, 30, 0, 11)
    yield ([(10, 20)], 0, 30, 1, 10)
    yield ([(20, 30)], 0, 30, 10, 1)
    yield ([(0, 10)], 0, 30, 20, 1)
    yield ([(0, 10)], 0, 30, 19, 1)
    yield ([(30, 40)], 0, 30, 5, 30)
    yield ([(-10, 0)], 0, 30, 0, 30)
    yield ([(31, 40), (35, 50)], 0, 30, 0, 1)
    yield ([(0, 30), (5, 6)], 0, 30, 3, 1)
    yield ([(5, 20), (6, 7)], 0, 30, 5, 1)
    yield ([(5, 20), (5, 7)], 0, 30, 5, 1)
    yield ([(start, start + 5) for start in range(0, 1400, 7)], 0, 1440, 0, 2)
    yield ([(start, start + 5) for start in range(0, 1400, 7)], 0, 1440, 1, 2)
    yield ([(start, start + 5) for start in range(1400, 0, -9)], 100, 1300, 2, 2)
    for _ in range(140):
        opens = random.randint(0, 6)
        closes = opens + random.randint(0, 24)
        bookings = []
        for _ in range(random.randint(0, 7)):
            start = random.randint(-5, 32)
            bookings.append((start, start + random.randint(1, 6)))
        yield (bookings, opens, closes, random.randint(0, 3), random.randint(1, 4))
