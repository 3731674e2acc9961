"""Replay the events of an order: a small state machine with a pause and a counter."""

from collections.abc import Iterator
from random import Random

ID = "medium/order_lifecycle"
TITLE = "Replay the events of an order"
DIFFICULTY = "medium"
TOPICS = ("state machines", "dictionaries", "business rules")
ENTRY_POINT = "replay_order"

_NEXT_STATE = {
    ("new", "pay"): "paid",
    ("new", "cancel"): "cancelled",
    ("paid", "ship"): "shipped",
    ("paid", "cancel"): "refunded",
    ("shipped", "deliver"): "delivered",
    ("shipped", "lose"): "refunded",
    ("delivered", "return"): "refunded",
}


def replay_order(events: list[str]) -> tuple[str, list[int]]:
    """Return the state of an order after its events, and the positions of refused events.

    An order begins as "new". The events change its state so:
    - new: "pay" -> paid, "cancel" -> cancelled
    - paid: "ship" -> shipped, "cancel" -> refunded
    - shipped: "deliver" -> delivered, "lose" -> refunded
    - delivered: "return" -> refunded

    "decline" (a payment failed) is accepted while new: the state stays, but the third
    accepted one makes the order cancelled. "hold" is accepted while new or paid and
    suspends the order; from then on only "release" is accepted, which puts it back where
    it was. An order that is on hold at the end has the state "on hold".

    Every other event, unknown ones included, is refused: it changes nothing, and its
    position (from 0) goes into the list, ascending.

    >>> replay_order(["pay", "ship", "deliver"])
    ('delivered', [])
    >>> replay_order(["ship", "pay", "hold", "cancel", "release", "cancel"])
    ('refunded', [0, 3])
    >>> replay_order(["decline", "hold"])
    ('on hold', [])
    """
    state = "new"
    on_hold = False
    attempts_left = 3
    refused = []
    for position, event in enumerate(events):
        if on_hold and event == "release":
            on_hold = False
        elif on_hold:
            refused.append(position)
        elif event == "hold" and state in ("new", "paid"):
            on_hold = True
        elif event == "decline" and state == "new":
            attempts_left -= 1
            if not attempts_left:
                state = "cancelled"
        elif (state, event) in _NEXT_STATE:
            state = _NEXT_STATE[state, event]
        else:
            refused.append(position)
    return ("on hold" if on_hold else state), refused


BASE_INPUTS = [
    ([],),
    (["pay", "ship", "deliver"],),
    (["ship", "pay", "hold", "cancel", "release", "cancel"],),
    (["decline", "hold"],),
    (["pay", "pay", "ship", "cancel", "lose", "return"],),
    (["pay", "ship", "deliver", "return", "return"],),
    (["cancel", "pay", "decline", "hold"],),
    (["decline", "decline", "pay", "decline", "ship"],),
    (["decline", "decline", "decline", "decline", "pay"],),
    (["decline", "hold", "decline", "release", "release", "decline", "pay", "hold"],),
    (["pay", "ship", "hold", "release", "deliver", "hold"],),
    (["hold", "hold", "pay", "release", "refund", "Pay"],),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    known = ["pay", "cancel", "ship", "deliver", "lose", "return", "decline", "hold", "release"]
    paths: tuple[list[str], ...] = (
        [], ["pay"], ["pay", "ship"], ["pay", "ship", "deliver"], ["pay", "ship", "lose"],
        ["cancel"], ["pay", "cancel"], ["hold"], ["pay", "hold"], ["decline", "decline"],
    )  # fmt: skip
    for path in paths:
        for event in known:
            yield ([*path, event],)
    for event in ("", "PAY", " pay", "new", "on hold", "bezahlt", "released", "decline "):
        yield ([event, "pay", event],)
    yield (["hold", "release"] * 50,)
    yield (["hold"] * 100,)
    yield (["decline", "hold", "release"] * 4,)
    for _ in range(70):
        yield (random.choices([*known, "hold", "release", "unknown"], k=random.randint(2, 12)),)
    for _ in range(20):
        usual = ["decline", "hold", "release", "pay", "ship", "deliver", "return"]
        usual.insert(random.randint(0, 7), random.choice(known))
        yield (usual,)
