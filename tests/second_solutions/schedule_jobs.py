"""Minute by minute."""


def schedule_jobs(
    jobs: dict[str, tuple[int, int, str, list[str]]], workers: int
) -> list[tuple[int, int, str]]:
    possible: set[str] = set()
    while more := {
        name for name in jobs if name not in possible and possible >= set(jobs[name][3])
    }:
        possible |= more
    if len(possible) < len(jobs):
        raise ValueError
    plan: list[tuple[int, int, str]] = []
    minute = 0
    while len(plan) < len(jobs):
        busy = [(worker, name) for at, worker, name in plan if minute < at + jobs[name][0]]
        ended = {name for at, _, name in plan if at + jobs[name][0] <= minute}
        best: tuple[int, str] | None = None
        for name, (_, priority, lock, needs) in jobs.items():
            if any(name == started for *_, started in plan) or set(needs) - ended:
                continue
            if lock != "" and any(jobs[other][2] == lock for _, other in busy):
                continue
            if best is None or (-priority, name) < best:
                best = (-priority, name)
        if best is None or len(busy) == workers:
            minute += 1
        else:
            taken = {worker for worker, _ in busy}
            lowest = min(set(range(1, workers + 1)) - taken)
            plan.append((minute, lowest, best[1]))
    return plan
