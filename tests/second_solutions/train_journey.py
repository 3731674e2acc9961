"""By following every journey from the start, with the shortest lists of trains first."""


def find_journey(
    rides: list[tuple[str, str, int, str, int]],
    change_minutes: dict[str, int],
    start: str,
    goal: str,
    earliest: int,
) -> tuple[int, list[str]] | None:
    if start == goal:
        return earliest, []
    best: list[tuple[int, list[str]] | None] = [None] * len(rides)
    changed = True
    while changed:
        changed = False
        for number, (train, origin, departure, _, _) in enumerate(rides):
            options = []
            if origin == start and earliest <= departure:
                options.append((1, [train]))
            for before, (other, _, _, stop, arrival) in enumerate(rides):
                label = best[before]
                if label is None or stop != origin or arrival > departure:
                    continue
                if other == train:
                    options.append(label)
                elif arrival + change_minutes.get(stop, departure - arrival + 1) <= departure:
                    options.append((label[0] + 1, label[1] + [train]))
            if options and min(options) != best[number]:
                best[number] = min(options)
                changed = True
    ends = [
        (arrival, *label)
        for (*_, stop, arrival), label in zip(rides, best, strict=True)
        if stop == goal and label is not None
    ]
    return (min(ends)[0], min(ends)[2]) if ends else None
