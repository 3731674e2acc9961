"""Dates that avoid the weekend."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

ID = "easy/payment_due"
TITLE = "When a payment is due"
DIFFICULTY = "easy"
TOPICS = ("dates", "calendar")
ENTRY_POINT = "payment_due"


def payment_due(issued: str, days: int) -> str:
    """Return the date by which an invoice has to be paid.

    `issued` is the date of the invoice, written as "YYYY-MM-DD", and the result is written in
    the same way. The payment is due `days` days later (0 means on the same day; never
    negative). If that day is a Saturday or a Sunday, the payment is due on the Monday that
    follows. Holidays are not considered.

    A date that is not in the calendar, such as "2023-02-29", raises ValueError.

    >>> payment_due("2024-05-01", 14)
    '2024-05-15'
    >>> payment_due("2024-05-01", 10)
    '2024-05-13'
    >>> payment_due("2024-12-31", 0)
    '2024-12-31'
    """
    due = date.fromisoformat(issued) + timedelta(days=days)
    if due.weekday() >= 5:
        due += timedelta(days=7 - due.weekday())
    return due.isoformat()


BASE_INPUTS = [
    ("2024-05-01", 14),
    ("2024-05-01", 10),
    ("2024-12-31", 0),
    ("2024-05-01", 2),
    ("2024-05-01", 3),
    ("2024-05-01", 4),
    ("2024-05-01", 5),
    ("2024-02-28", 1),
    ("2023-02-28", 1),
    ("2023-02-29", 30),
    ("2023-12-30", 0),
    ("2024-06-31", 1),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for days in range(15):
        yield "2024-02-20", days
    for issued in ("2100-02-29", "2000-02-29", "1900-02-29", "2024-13-01", "2024-00-10"):
        yield issued, 1
    for issued in ("2024-04-31", "2024-01-00", "2024-01-32", "0001-01-01", "9998-12-31"):
        yield issued, 0
    for _ in range(100):
        year, month, day = (
            random.randrange(1970, 2100),
            random.randint(1, 12),
            random.randint(1, 31),
        )
        yield f"{year}-{month:02d}-{day:02d}", random.choice((0, 7, 14, 30, 60, 90, 365))
