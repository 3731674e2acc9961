"""By deciding each stretch between two days on which anything changes by itself."""


def price_calendar(
    rules: list[tuple[int, int, int, int]], closed: list[tuple[int, int]]
) -> list[tuple[int, int, int]]:
    calendar: dict[tuple[int, int], int | None] = {}  # stretches that do not overlap

    def cut(day: int) -> None:
        """Let a stretch begin on that day if there is one around it."""
        for first, last in list(calendar):
            if first < day <= last:
                calendar[first, day - 1] = calendar[day, last] = calendar.pop((first, last))

    # paint from the weakest to the strongest; closed days last
    order = sorted(range(len(rules)), key=lambda n: (rules[n][2], rules[n][0] - rules[n][1], n))
    layers = [(rules[n][0], rules[n][1], rules[n][3]) for n in order]
    for first, last, price in [*layers, *((first, last, None) for first, last in closed)]:
        cut(first)
        cut(last + 1)
        for stretch in list(calendar):
            if first <= stretch[0] <= last:
                del calendar[stretch]
        calendar[first, last] = price
    periods: list[tuple[int, int, int]] = []
    for (first, last), price in sorted(calendar.items(), key=lambda item: item[0]):
        if price is None:
            continue
        if periods and periods[-1][1] + 1 == first and periods[-1][2] == price:
            first = periods.pop()[0]
        periods.append((first, last, price))
    return periods
