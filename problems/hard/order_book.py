"""An order book: price-time priority, cancellations, and nobody trades with themselves."""

from collections.abc import Iterator
from random import Random

ID = "hard/order_book"
TITLE = "Match orders at an exchange"
DIFFICULTY = "hard"
TOPICS = ("simulation", "priority queues", "finance", "business rules")
ENTRY_POINT = "trade_orders"


def trade_orders(
    messages: list[tuple[str, str, int, int]],
) -> tuple[list[tuple[int, int, int, int]], list[tuple[int, int]]]:
    """Return the trades of an exchange and the orders that are open at the end.

    A message is (kind, owner, price, quantity), its number its position from 0. In an order,
    the quantity is at least 1; prices are whole numbers and may be negative.

    - "buy" or "sell": an order to buy at `price` or less, or to sell at `price` or more. It
      is matched at once with open orders of the other kind whose price suits: the one with
      the best price for it first (the lowest to buy at, the highest to sell at), of several
      the oldest. They trade as much as both can, at the price of the open order. This goes on
      until the new order is complete or no price suits; what is left of it becomes an open
      order with its number and price. Complete orders are no longer open.
    - An open order is withdrawn, without a trade, when it would be next to trade with a new
      order of its own owner; the matching goes on with the next one.
    - "cancel": withdraw order number `quantity` if it is open and has this owner; otherwise
      nothing happens. The price does not matter.

    Return the trades as (number of the buying order, number of the selling order, price,
    quantity), in the order in which they were made, and the open orders as (number, quantity
    left), by number.

    >>> trade_orders([("sell", "A", 10, 5), ("sell", "B", 9, 2), ("buy", "C", 10, 4)])
    ([(2, 1, 9, 2), (2, 0, 10, 2)], [(0, 3)])
    >>> trade_orders([("buy", "A", 7, 3), ("buy", "B", 7, 1), ("sell", "A", 6, 2)])
    ([(1, 2, 7, 1)], [(2, 1)])
    """

    def price_of(order: int) -> int:
        return messages[order][2]

    trades = []
    left: dict[int, int] = {}  # quantities of the open orders, the oldest first
    for number, (kind, owner, price, quantity) in enumerate(messages):
        if kind == "cancel":
            if quantity in left and messages[quantity][1] == owner:
                del left[quantity]
            continue
        others = [other for other in left if messages[other][0] != kind]
        if kind == "buy":
            suited = sorted((o for o in others if price_of(o) <= price), key=price_of)
        else:
            suited = sorted((o for o in others if price_of(o) >= price), key=price_of, reverse=True)
        left[number] = quantity
        for other in suited:
            if number not in left:
                break
            if messages[other][1] == owner:
                del left[other]
                continue
            traded = min(left[number], left[other])
            pair = (number, other) if kind == "buy" else (other, number)
            trades.append((*pair, price_of(other), traded))
            for party in pair:
                left[party] -= traded
                if not left[party]:
                    del left[party]
    return trades, list(left.items())


BASE_INPUTS = [
    ([],),
    ([("sell", "A", 10, 5), ("sell", "B", 9, 2), ("buy", "C", 10, 4)],),
    ([("buy", "A", 7, 3), ("buy", "B", 7, 1), ("sell", "A", 6, 2)],),
    ([("buy", "A", 5, 1), ("buy", "B", 6, 1), ("buy", "C", 5, 1), ("sell", "D", 5, 9)],),
    ([("sell", "A", 5, 2), ("sell", "B", 5, 2), ("buy", "C", 5, 2), ("buy", "C", 4, 1)],),
    ([("buy", "A", 5, 2), ("sell", "B", 6, 2), ("sell", "B", 5, 1), ("buy", "C", 6, 1)],),
    ([("buy", "A", 5, 2), ("cancel", "B", 0, 0), ("sell", "B", 5, 1), ("cancel", "A", 5, 0)],),
    ([("sell", "A", 5, 1), ("buy", "B", 9, 1), ("cancel", "A", 0, 0), ("cancel", "A", 0, 7)],),
    ([("sell", "A", 5, 1), ("cancel", "A", 5, 0), ("buy", "B", 5, 1), ("cancel", "A", 0, 2)],),
    ([("sell", "A", 2, 1), ("sell", "A", 3, 1), ("sell", "B", 3, 1), ("buy", "A", 3, 2)],),
    ([("sell", "B", 2, 1), ("sell", "A", 2, 4), ("buy", "A", 2, 1), ("buy", "C", 2, 3)],),
    ([("sell", "A", -2, 1), ("buy", "B", -3, 1), ("buy", "C", -1, 3), ("sell", "A", -3, 2)],),
    ([("buy", "A", 4, 4), ("sell", "B", 4, 1), ("sell", "C", 3, 1), ("buy", "D", 4, 1)],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([("cancel", "A", 0, 0)],)
    yield ([("buy", "A", 1, 1), ("sell", "A", 1, 1)],)
    yield ([("buy", "", 0, 1), ("sell", "é", 0, 1), ("cancel", "", 0, 0)],)
    yield ([("buy", "A", 1, 10**12), ("sell", "B", 1, 1), ("sell", "B", 2, 1)],)
    yield ([("sell", "A", n, 1) for n in range(30)] + [("buy", "B", 20, 15), ("buy", "B", 99, 99)],)
    yield ([("sell", str(n % 3), 5, n + 1) for n in range(30)] + [("buy", "0", 5, 200)],)
    yield ([("buy", "A", 3, 1), ("buy", "A", 3, 1), ("cancel", "A", 0, 1), ("sell", "B", 3, 2)],)
    for size in range(120):
        messages = []
        for number in range(size // 5 + 4):
            kind = random.choice(["buy", "buy", "sell", "sell", "cancel"])
            amount = random.randint(0, number) if kind == "cancel" else random.randint(1, 4)
            messages.append((kind, random.choice("AABC"), random.randint(-1, 3), amount))
        yield (messages,)
