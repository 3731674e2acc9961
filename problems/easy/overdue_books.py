"""Dates in ISO form can be compared as they are."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

ID = "easy/overdue_books"
TITLE = "List overdue books"
DIFFICULTY = "easy"
TOPICS = ("sorting", "dates", "library")
ENTRY_POINT = "overdue_books"


def overdue_books(loans: list[tuple[str, str]], today: str) -> list[str]:
    """Return the titles of the library books that should have been brought back already.

    Each loan is a pair: the title and the day on which the book is due, written as
    "YYYY-MM-DD", like `today`. A book is overdue from the day after it was due; a book that is
    due today is not overdue yet.

    The books that have been overdue longest come first. Books due on the same day are sorted
    by title, as Python compares strings (capitals before small letters). A title that was lent
    several times is listed once for each overdue loan.

    >>> overdue_books([("Emma", "2024-03-09"), ("Dune", "2024-02-29")], "2024-03-10")
    ['Dune', 'Emma']
    >>> overdue_books([("Momo", "2024-03-10"), ("Kim", "2024-03-11")], "2024-03-10")
    []
    """
    overdue = sorted((due, title) for title, due in loans if due < today)
    return [title for _, title in overdue]


BASE_INPUTS = [
    ([("Emma", "2024-03-09"), ("Dune", "2024-02-29")], "2024-03-10"),
    ([("Momo", "2024-03-10"), ("Kim", "2024-03-11")], "2024-03-10"),
    ([], "2024-03-10"),
    ([("Ulysses", "2023-12-01"), ("Beloved", "2023-12-01"), ("emma", "2023-12-01")], "2024-01-01"),
    ([("Dune", "2024-01-02"), ("Dune", "2024-01-01"), ("Dune", "2024-01-02")], "2024-01-03"),
    ([("A", "2024-05-05"), ("B", "2024-05-04"), ("C", "2024-05-03")], "2024-05-05"),
    ([("Zorba", "2019-07-30"), ("Aida", "2024-07-29")], "2024-07-30"),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield [("", "2024-01-01"), (" ", "2024-01-01")], "2024-01-02"
    yield [("Čapek", "2024-01-01"), ("Zola", "2024-01-01"), ("zola", "2024-01-01")], "2024-02-01"
    yield [("Old", "1999-12-31"), ("New", "2000-01-01"), ("Leap", "2000-02-29")], "2000-03-01"
    titles = ["Emma", "Dune", "Momo", "Kim", "Ulysses", "beloved", "1984", "Ölberg", "Emma II"]
    for size in range(110):
        today = date(2024, 1, 10) + timedelta(days=random.randrange(400))
        loans = []
        for _ in range(size // 2):
            due = today + timedelta(days=random.randrange(-size - 2, 5))
            loans.append((random.choice(titles), due.isoformat()))
        yield loans, today.isoformat()
