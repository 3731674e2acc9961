"""Match invoices and payments of customers, oldest first."""

from collections import defaultdict, deque
from collections.abc import Iterator
from random import Random

ID = "medium/open_items"
TITLE = "Open items of customers' accounts"
DIFFICULTY = "medium"
TOPICS = ("queues", "grouping", "accounting")
ENTRY_POINT = "find_open_items"

_OPPOSITE = {"invoice": "payment", "payment": "invoice"}


def find_open_items(
    entries: list[tuple[str, str, str, int]],
) -> dict[str, tuple[str, list[tuple[str, int]]]]:
    """Return what is still open on customers' accounts after all their entries.

    Each entry is (customer, kind, document, amount) in the order of booking: kind is
    "invoice" or "payment", amount is in cents and at least 1. A document's name may occur
    more than once and has no other meaning.

    Each entry is first settled against the customer's open items of the opposite kind, the
    oldest first: the entry and the item both lose the same amount until one of the two is
    0, then the next item follows. Items that reached 0 are gone. What is left of the entry,
    if anything, becomes the customer's newest open item of its kind. So all open items of a
    customer are of one kind.

    The result has a key for each customer with open items; its value is their kind and the
    list of (document, what is left of its amount), the oldest first. The order of the keys
    does not matter.

    >>> find_open_items([("Ada", "invoice", "I1", 50), ("Ada", "payment", "P1", 20)])
    {'Ada': ('invoice', [('I1', 30)])}
    >>> find_open_items([("Bob", "payment", "P1", 40), ("Bob", "payment", "P2", 5)])
    {'Bob': ('payment', [('P1', 40), ('P2', 5)])}
    >>> find_open_items([("Bob", "payment", "P1", 40), ("Bob", "invoice", "I1", 40)])
    {}
    """
    items: defaultdict[tuple[str, str], deque[tuple[str, int]]] = defaultdict(deque)
    for customer, kind, document, amount in entries:
        opposite = items[customer, _OPPOSITE[kind]]
        while opposite and amount:
            oldest, left = opposite.popleft()
            settled = min(left, amount)
            if left > settled:
                opposite.appendleft((oldest, left - settled))
            amount -= settled
        if amount:
            items[customer, kind].append((document, amount))
    return {customer: (kind, list(left)) for (customer, kind), left in items.items() if left}


BASE_INPUTS = [
    ([],),
    ([("Ada", "invoice", "I1", 50), ("Ada", "payment", "P1", 20)],),
    ([("Bob", "payment", "P1", 40), ("Bob", "payment", "P2", 5)],),
    ([("Bob", "payment", "P1", 40), ("Bob", "invoice", "I1", 40)],),
    ([("Ada", "invoice", "I1", 50), ("Ada", "invoice", "I2", 30), ("Ada", "payment", "P1", 60)],),
    ([("Bob", "payment", "P1", 40), ("Ada", "invoice", "I1", 10), ("Bob", "invoice", "I2", 15)],),
    (
        [
            ("Ada", "invoice", "I1", 50),
            ("Ada", "payment", "P1", 20),
            ("Ada", "payment", "P2", 20),
            ("Ada", "payment", "P3", 20),
        ],
    ),
    (
        [
            ("Ada", "payment", "P1", 100),
            ("Ada", "invoice", "I1", 30),
            ("Ada", "invoice", "I2", 70),
            ("Ada", "invoice", "I3", 1),
        ],
    ),
    (
        [
            ("Ada", "invoice", "I1", 1),
            ("Ada", "invoice", "I2", 2),
            ("Ada", "invoice", "I3", 3),
            ("Ada", "payment", "P1", 7),
        ],
    ),
    (
        [
            ("Ada", "invoice", "I1", 5),
            ("Bob", "payment", "P1", 5),
            ("Ada", "payment", "P2", 2),
            ("Bob", "payment", "P3", 1),
        ],
    ),
    (
        [
            ("Ada", "invoice", "I1", 5),
            ("Ada", "invoice", "I1", 5),
            ("Ada", "payment", "P1", 5),
            ("Ada", "invoice", "I2", 9),
        ],
    ),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([("", "invoice", "", 1)],)
    yield ([("a", "payment", "x", 1)],)
    yield ([("a", "invoice", "x", 1), ("A", "payment", "x", 1), ("a ", "payment", "x", 1)],)
    yield ([("é", "invoice", "ü", 10**17), ("é", "payment", "ß", 10**17 - 1)],)
    yield (_entries("a I1 1", "a P1 1", "a I2 1"),)
    yield (_entries("a I1 1", "a P1 2", "a I2 1"),)
    yield (_entries("a P1 1", "a P2 2", "a I1 2"),)
    yield (_entries("a P1 1", "a P2 2", "a I1 3"),)
    yield (_entries("a P1 1", "a P2 2", "a I1 4", "a P3 3"),)
    yield (_entries("a P1 2", "a P2 2", "a I1 1", "a I2 1", "a I3 1"),)
    yield (_entries(*[f"a I{n} {n}" for n in range(1, 80)], "a P1 1000"),)
    yield (_entries(*[f"a I{n} {n}" for n in range(1, 80)], "a P1 3161"),)
    yield (_entries(*[f"c{n % 7} {'IP'[n % 2]}{n} {5 - n % 2}" for n in range(150)]),)
    for _ in range(140):
        customers = random.choice(["a", "ab", "abc"])
        yield (
            _entries(
                *(
                    f"{random.choice(customers)} {random.choice('IP')}{n} {random.randint(1, 5)}"
                    for n in range(random.randint(1, 10))
                )
            ),
        )


def _entries(*texts: str) -> list[tuple[str, str, str, int]]:
    """Return entries from texts like "Ada I1 50": P1, P2, ... are payments."""
    entries = []
    for customer, document, amount in map(str.split, texts):
        kind = "payment" if document.startswith("P") else "invoice"
        entries.append((customer, kind, document, int(amount)))
    return entries
