"""What a warehouse has to buy before an order can be sent."""

from collections.abc import Iterator
from random import Random

ID = "easy/missing_stock"
TITLE = "What is missing for an order"
DIFFICULTY = "easy"
TOPICS = ("dictionaries", "inventory")
ENTRY_POINT = "missing_stock"


def missing_stock(order: dict[str, int], stock: dict[str, int]) -> dict[str, int]:
    """Return how many pieces of each article must be bought to fill an order.

    Both dictionaries map the name of an article to a number of pieces. An article that is
    not listed in `stock` has 0 pieces. A number in `stock` may be negative: so many pieces are
    already owed to others and must be bought as well. Numbers in `order` are 0 or more.

    The result holds only those ordered articles of which at least one piece must be bought.
    Articles that are in stock but not ordered never appear. The order of the keys does not
    matter.

    >>> missing_stock({"lamp": 5, "bulb": 2}, {"lamp": 3, "bulb": 2})
    {'lamp': 2}
    >>> missing_stock({"rope": 4}, {})
    {'rope': 4}
    >>> missing_stock({"tent": 1}, {"tent": -2, "stove": -1})
    {'tent': 3}
    """
    missing = {}
    for article, wanted in order.items():
        shortage = wanted - stock.get(article, 0)
        if shortage > 0:
            missing[article] = shortage
    return missing


BASE_INPUTS = [
    ({"lamp": 5, "bulb": 2}, {"lamp": 3, "bulb": 2}),
    ({"rope": 4}, {}),
    ({"tent": 1}, {"tent": -2, "stove": -1}),
    ({}, {"lamp": 3}),
    ({"lamp": 1}, {"lamp": 0}),
    ({"lamp": 1, "map": 1, "cup": 9}, {"cup": 8, "lamp": 1}),
    ({"lamp": 0, "map": 0}, {"lamp": -1}),
    ({"lamp": 2, "cup": 7}, {"lamp": 10, "cup": 8}),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield {}, {}
    yield {"lamp": 0}, {}
    yield {"": 1, " ": 1}, {"": 1}
    yield {"Lamp": 1}, {"lamp": 1}
    yield {"lamp": 10**12}, {"lamp": 10**12 - 1}
    articles = [f"article {number}" for number in range(40)]
    for size in range(100):
        wanted = random.sample(articles, size % 30)
        kept = random.sample(articles, random.randrange(40))
        yield (
            {article: random.randrange(6) for article in wanted},
            {article: random.randrange(-2, 6) for article in kept},
        )
