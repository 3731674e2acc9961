"""By a table filled from the front: the best list for each last pair."""


def pair_payments(
    invoices: list[tuple[int, int]], payments: list[tuple[int, int]], tolerance: int
) -> list[tuple[int, int]]:
    ending: dict[tuple[int, int], tuple[int, int, int, tuple[tuple[int, int], ...]]] = {}
    for i, (day, amount) in enumerate(invoices):
        for p, (paid_on, paid) in enumerate(payments):
            if paid_on < day or not -tolerance <= paid - amount <= tolerance:
                continue
            before = [best for (row, column), best in ending.items() if row < i and column < p]
            count, differences, days, pairs = min(before, default=(0, 0, 0, ()))
            ending[i, p] = (
                count - 1,
                differences + abs(paid - amount),
                days + paid_on - day,
                (*pairs, (i, p)),
            )
    return list(min(ending.values(), default=(0, 0, 0, ()))[3])
