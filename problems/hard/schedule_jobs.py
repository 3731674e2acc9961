"""A job scheduler: dependencies, priorities, locks and a number of workers."""

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random

ID = "hard/schedule_jobs"
TITLE = "Schedule jobs on workers"
DIFFICULTY = "hard"
TOPICS = ("scheduling", "topological sorting", "simulation", "locks")
ENTRY_POINT = "schedule_jobs"


def schedule_jobs(
    jobs: dict[str, tuple[int, int, str, list[str]]], workers: int
) -> list[tuple[int, int, str]]:
    """Return when which worker starts each job, as (time, worker, job), ascending.

    `jobs` maps the name of each job to (minutes, priority, lock, jobs that it needs). It
    takes at least one minute. The workers (at least one) are numbered from 1 and all free at
    time 0. A worker does one job at a time and finishes what was started.

    A job can start when all jobs that it needs have ended, and while no running job has the
    same lock; the lock "" stands for none. A job that ends at a time makes its worker, its
    lock and the jobs that need it free for a start at that same time.

    At time 0 and whenever a job ends (all that end at the same time are taken together), jobs
    are started as long as a worker is free and a job can start: each time the one with the
    highest priority, of several the alphabetically first (as Python compares strings), on the
    free worker with the lowest number.

    Raise ValueError if not all jobs can be started: jobs need each other in a circle, or one
    needs a job that is not in `jobs`.

    >>> schedule_jobs({"a": (3, 1, "", []), "b": (1, 2, "", []), "c": (1, 9, "", ["b"])}, 1)
    [(0, 1, 'b'), (1, 1, 'c'), (2, 1, 'a')]
    >>> schedule_jobs({"x": (5, 1, "db", []), "y": (2, 1, "db", []), "z": (2, 0, "", [])}, 2)
    [(0, 1, 'x'), (0, 2, 'z'), (5, 1, 'y')]
    """
    waiting = sorted(jobs, key=lambda name: (-jobs[name][1], name))
    free = list(range(1, workers + 1))
    running: list[tuple[int, int, str]] = []
    ended: set[str] = set()
    plan = []
    now = 0
    while waiting:
        for name in waiting.copy():
            minutes, _, lock, needs = jobs[name]
            locks = {jobs[other][2] for _, _, other in running} - {""}
            if free and lock not in locks and ended.issuperset(needs):
                worker = heappop(free)
                heappush(running, (now + minutes, worker, name))
                plan.append((now, worker, name))
                waiting.remove(name)
        if not running:
            raise ValueError(f"these jobs can never start: {waiting}")
        now = running[0][0]
        while running and running[0][0] == now:
            _, worker, name = heappop(running)
            heappush(free, worker)
            ended.add(name)
    return plan


BASE_INPUTS = [
    ({}, 1),
    ({"a": (3, 1, "", []), "b": (1, 2, "", []), "c": (1, 9, "", ["b"])}, 1),
    ({"x": (5, 1, "db", []), "y": (2, 1, "db", []), "z": (2, 0, "", [])}, 2),
    ({"b": (1, 1, "", []), "a": (1, 1, "", []), "B": (1, 1, "", [])}, 1),
    ({"a": (2, 0, "", []), "b": (2, 0, "", []), "c": (1, -1, "", ["a", "b"])}, 5),
    ({"a": (1, 0, "", ["b"]), "b": (1, 0, "", ["a"]), "c": (1, 0, "", [])}, 2),
    ({"a": (1, 0, "", []), "b": (1, 0, "", ["a", "zip"])}, 1),
    ({"a": (1, 0, "", ["a"])}, 1),
    (
        {
            "low": (1, 1, "", []),
            "top": (4, 9, "disk", []),
            "next": (4, 8, "disk", []),
            "mid": (2, 5, "net", []),
            "end": (1, 7, "net", ["low"]),
        },
        3,
    ),
    (
        {
            "a": (3, 1, "", []),
            "b": (2, 1, "", []),
            "c": (1, 1, "", []),
            "d": (2, 1, "", ["c"]),
            "e": (1, 1, "", ["b", "c"]),
            "f": (1, 5, "", ["d"]),
        },
        3,
    ),
    ({"a": (2, 1, "k", []), "b": (1, 2, "k", []), "c": (3, 0, "k", ["b"]), "d": (9, 0, "", [])}, 2),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ({"": (1, 0, "", [])}, 1)
    yield ({"ä": (1, 0, "", []), "z": (1, 0, "", []), "10": (1, 0, "", []), "9": (1, 0, "", [])}, 1)
    yield ({"a": (1, 0, "", ["b", "b"]), "b": (2, 0, "", [])}, 1)
    yield ({"a": (1, 0, "", [""])}, 3)
    yield ({str(n): (n % 3 + 1, n % 4, "", []) for n in range(40)}, 4)
    yield ({str(n): (n % 3 + 1, n % 4, "k" * (n % 3), []) for n in range(40)}, 4)
    yield ({str(n): (2, 0, "", [str(n - 1)] if n else []) for n in range(30)}, 2)
    yield ({str(n): (2, n, "", [str(n - 7)] if n > 6 else []) for n in range(30)}, 3)
    for size in range(120):
        names = random.sample("abcdefghij", k=random.randint(2, 3 + size // 20))
        jobs = {}
        for place, name in enumerate(names):
            known = names[:place] if random.random() < 0.98 else names
            needs = random.sample(known, k=random.randint(0, min(2, len(known))))
            lock = random.choice(["", "", "db", "net"])
            jobs[name] = (random.randint(1, 4), random.randint(0, 2), lock, needs)
        shuffled = dict(random.sample(list(jobs.items()), k=len(jobs)))
        yield (shuffled, random.randint(1, 3))
