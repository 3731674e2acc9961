"""Amounts of money as a shop prints them."""

from collections.abc import Iterator
from random import Random

ID = "easy/price_label"
TITLE = "Print a price"
DIFFICULTY = "easy"
TOPICS = ("formatting", "arithmetic", "money")
ENTRY_POINT = "price_label"


def price_label(cents: int, currency: str) -> str:
    """Return an amount of money as it is printed on a receipt.

    `cents` is the amount in hundredths of the currency. The label consists of the currency
    sign, the whole units with a comma between each group of three digits, a dot and always
    two digits of cents. A negative amount (a refund) gets one minus sign before the currency
    sign. Zero has no minus sign. `currency` is put in as it is, whatever its length; it may
    be empty.

    >>> price_label(123450, "$")
    '$1,234.50'
    >>> price_label(-5, "€")
    '-€0.05'
    >>> price_label(0, "CHF ")
    'CHF 0.00'
    """
    sign = "-" if cents < 0 else ""
    units, rest = divmod(abs(cents), 100)
    return f"{sign}{currency}{units:,}.{rest:02d}"


BASE_INPUTS = [
    (123450, "$"),
    (-5, "€"),
    (0, "CHF "),
    (1, "$"),
    (-1, "$"),
    (99, "£"),
    (100, "£"),
    (101, ""),
    (-99999, "$"),
    (-100000, "kr "),
    (1234567890, "€"),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for cents in (9, 10, 11, 109, 110, 999, 1000, 99999, 100000, 99999999, 100000000, 10**18):
        for amount in (cents, -cents):
            yield amount, "$"
            yield amount, ""
    for digits in range(1, 16):
        for currency in ("$", "€", "zł ", "USD ", "{}", "%d"):
            yield random.randrange(-(10**digits), 10**digits), currency
