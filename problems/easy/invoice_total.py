"""Money without floats."""

from collections.abc import Iterator
from random import Random

ID = "easy/invoice_total"
TITLE = "Add up an invoice"
DIFFICULTY = "easy"
TOPICS = ("arithmetic", "rounding", "money")
ENTRY_POINT = "invoice_total"


def invoice_total(lines: list[tuple[int, int]], tax_percent: int) -> int:
    """Return the amount to pay for an invoice, in cents, with tax.

    Each line of the invoice is a pair: quantity and price of one piece in cents. Either may
    be negative (returned goods, vouchers). The lines are added up, and the tax is
    `tax_percent` percent of that sum, a whole number of at least 0. The tax, not each line,
    is rounded to a whole cent; exactly half a cent is rounded up, towards the larger number,
    so that a tax of 2.5 becomes 3 and a tax of -2.5 becomes -2. The result is exact for
    amounts of any size. Without lines it is 0.

    >>> invoice_total([(2, 500), (1, 250)], 20)
    1500
    >>> invoice_total([(1, 50)], 5)
    53
    >>> invoice_total([(-1, 50)], 5)
    -52
    """
    net = sum(quantity * price for quantity, price in lines)
    tax = (net * tax_percent + 50) // 100
    return net + tax


BASE_INPUTS = [
    ([(2, 500), (1, 250)], 20),
    ([(1, 50)], 5),
    ([(-1, 50)], 5),
    ([], 19),
    ([(1, 7)], 7),
    ([(1, 49)], 1),
    ([(1, 51)], 1),
    ([(3, 33), (1, -33)], 0),
    ([(1, 10), (1, 10), (1, 10)], 5),
    ([(4, 1999), (-1, 1999), (2, 0)], 19),
    ([(1, 1_000_000_000_000_000_050)], 1),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for net in (0, 1, 49, 50, 51, 99, 100, 149, 150, 151):
        for tax_percent in (0, 1, 100, 150):
            yield [(1, net)], tax_percent
            yield [(-1, net)], tax_percent
    for size in range(60):
        lines = [(random.randrange(-3, 20), random.randrange(-50, 5000)) for _ in range(size)]
        yield lines, random.choice((0, 5, 7, 19, 25))
    for _ in range(20):
        yield [(random.randrange(1, 100), random.randrange(10**20))], random.randrange(30)
