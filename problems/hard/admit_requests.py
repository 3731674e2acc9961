"""Two limits of a web service at once, with exact token buckets and a ban."""

from collections import Counter
from collections.abc import Iterator
from random import Random

ID = "hard/admit_requests"
TITLE = "Limit the rate of requests"
DIFFICULTY = "hard"
TOPICS = ("rate limiting", "token buckets", "simulation", "web")
ENTRY_POINT = "admit_requests"


def admit_requests(
    requests: list[tuple[int, str, int]],
    client_bucket: tuple[int, int],
    total_bucket: tuple[int, int],
    patience: int,
    ban_seconds: int,
) -> list[str]:
    """Return for each request to a web service: "ok", "client", "total" or "banned".

    A request is (second, client, cost). Seconds (0 or more) never fall from one request to
    the next; costs are at least 1.

    A bucket (capacity, seconds per token) is full at first, that is, it holds `capacity`
    tokens. It gets one token more whenever `seconds per token` seconds have passed since it
    was last full, or since it got the token before; it never holds more than `capacity`. A
    full bucket that tokens are taken from counts as full up to that second. Each client has a
    bucket of the first kind; one of the second kind is shared by all.

    A request is looked at after its second's tokens have come. In this order:

    1. A client who is banned gets "banned".
    2. If the client's bucket holds fewer tokens than the cost, the answer is "client".
    3. If the shared bucket does, it is "total".
    4. Otherwise it is "ok", and the cost is taken from both buckets.

    The `patience`-th "client" (1 or more) in a row for one client, with no "ok" for this
    client in between ("total" does not matter), bans the client: the answer is still
    "client", but all requests of this client in less than `ban_seconds` seconds from then get
    "banned". After that the count begins again at 0.

    >>> admit_requests([(0, "A", 2), (1, "A", 1), (9, "A", 1), (10, "A", 1)], (2, 10), (9, 1), 9, 1)
    ['ok', 'client', 'client', 'ok']
    >>> admit_requests([(0, "A", 3), (0, "B", 3), (5, "B", 9), (6, "B", 1)], (3, 1), (5, 1), 1, 2)
    ['ok', 'total', 'client', 'banned']
    """
    client_tokens, client_pace = client_bucket
    total_tokens, total_pace = total_bucket
    full_at: dict[str | None, int] = {}  # when buckets are full again; None: the shared one
    failures: Counter[str] = Counter()
    banned_until: dict[str, int] = {}
    answers = []
    for second, client, cost in requests:
        own = max(full_at.get(client, second), second) + cost * client_pace
        shared = max(full_at.get(None, second), second) + cost * total_pace
        if second < banned_until.get(client, second):
            answers.append("banned")
        elif own > second + client_tokens * client_pace:
            answers.append("client")
            failures[client] += 1
            if failures[client] == patience:
                banned_until[client] = second + ban_seconds
                failures[client] = 0
        elif shared > second + total_tokens * total_pace:
            answers.append("total")
        else:
            answers.append("ok")
            full_at[client], full_at[None] = own, shared
            failures[client] = 0
    return answers


BASE_INPUTS = [
    ([], (1, 1), (1, 1), 1, 1),
    ([(0, "A", 2), (1, "A", 1), (9, "A", 1), (10, "A", 1)], (2, 10), (9, 1), 9, 1),
    ([(0, "A", 3), (0, "B", 3), (5, "B", 9), (6, "B", 1)], (3, 1), (5, 1), 1, 2),
    ([(5, "A", 1), (5, "A", 1), (7, "A", 1), (8, "A", 2), (11, "A", 2)], (2, 3), (9, 1), 3, 4),
    ([(3, "A", 1), (13, "A", 2), (14, "A", 1), (15, "A", 1)], (2, 2), (9, 2), 5, 5),
    ([(0, "A", 5), (0, "A", 5), (1, "A", 1), (3, "A", 1), (4, "A", 1)], (4, 1), (9, 1), 2, 4),
    ([(0, "A", 5), (1, "A", 4), (1, "A", 5), (1, "A", 5), (2, "A", 1)], (4, 1), (9, 1), 2, 3),
    ([(0, "A", 4), (1, "B", 2), (4, "B", 2), (7, "C", 1), (8, "C", 2)], (4, 1), (4, 4), 1, 9),
    ([(0, "A", 9), (0, "B", 9), (0, "A", 9), (0, "B", 1), (1, "A", 1)], (8, 1), (8, 1), 2, 1),
    ([(0, "A", 2), (0, "B", 2), (0, "B", 2), (0, "A", 2), (0, "A", 2)], (2, 5), (3, 5), 2, 5),
    ([(0, "A", 9), (2, "A", 9), (3, "A", 9), (5, "A", 1), (6, "A", 1)], (3, 1), (3, 1), 1, 3),
    ([(0, "A", 7), (0, "B", 7), (0, "B", 7), (0, "B", 1), (0, "A", 7)], (3, 1), (3, 1), 2, 0),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ([(0, "", 1), (0, "", 1)], (1, 1), (1, 1), 1, 1)
    yield ([(10**9, "é", 1), (10**9 + 59, "é", 1), (10**9 + 60, "é", 1)], (1, 60), (1, 60), 9, 9)
    yield ([(0, "A", 1)], (0, 5), (5, 5), 1, 1)
    yield ([(0, "A", 1), (3, "A", 1)], (5, 5), (0, 1), 1, 1)
    yield ([(n, "A", 1) for n in range(60)], (3, 7), (99, 1), 5, 9)
    yield ([(n // 3, "ABC"[n % 3], 1) for n in range(90)], (4, 5), (6, 2), 3, 4)
    yield ([(n, "A", 2) for n in range(0, 90, 2)], (4, 3), (4, 3), 2, 6)
    for size in range(120):
        second = 0
        requests = []
        for _ in range(size // 4 + 6):
            second += random.choice([0, 0, 1, 1, 2, 5])
            requests.append((second, random.choice("AAB"), random.choice([1, 1, 1, 2, 3])))
        yield (
            requests,
            (random.randint(1, 4), random.randint(1, 5)),
            (random.randint(2, 6), random.randint(1, 3)),
            random.randint(1, 4),
            random.randint(0, 6),
        )
