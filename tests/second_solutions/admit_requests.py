"""By buckets of tokens that are filled step by step."""


def admit_requests(
    requests: list[tuple[int, str, int]],
    client_bucket: tuple[int, int],
    total_bucket: tuple[int, int],
    patience: int,
    ban_seconds: int,
) -> list[str]:
    first = requests[0][0] if requests else 0
    names = {client for _, client, _ in requests}
    buckets = {f"client {name}": [*client_bucket, client_bucket[0], first] for name in names}
    buckets["total"] = [*total_bucket, total_bucket[0], first]
    in_a_row = dict.fromkeys(names, 0)
    bans: dict[str, tuple[int, int]] = {}
    answers: list[str] = []
    for second, client, cost in requests:
        for bucket in buckets.values():
            capacity, pace, tokens, since = bucket
            while tokens < capacity and since + pace <= second:
                tokens += 1
                since += pace
            bucket[2:] = [tokens, second if tokens == capacity else since]
        own, total = buckets[f"client {client}"], buckets["total"]
        start, end = bans.get(client, (0, 0))
        if start <= second < end:
            answers.append("banned")
        elif own[2] < cost:
            answers.append("client")
            in_a_row[client] += 1
            if in_a_row[client] >= patience:
                bans[client] = (second, second + ban_seconds)
                in_a_row[client] = 0
        elif total[2] < cost:
            answers.append("total")
        else:
            own[2] -= cost
            total[2] -= cost
            in_a_row[client] = 0
            answers.append("ok")
    return answers
