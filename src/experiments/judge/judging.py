"""Verdicts for many solutions, streamed as they are reached.

    give → feeder ─ what is expected is known → judged
                  └ it is not → the reference is measured → judged

The feeder is one thread, workers are others (see `pool`), and the caller's thread takes what
they reached.
"""

import os
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

from experiments.errors import DatasetError
from experiments.judge.judge import Judged, judge_one
from experiments.judge.pool import Pool
from experiments.judge.truth import Truths, generous
from experiments.records import Dataset, Problem, Solution, Verdict
from experiments.sandbox import Sandbox, choose
from experiments.schema import SandboxConfig

_FIRST = (0.0,)
"""The rank of a reference: without it nothing of its problem can be judged."""


class Judging(Iterator[Verdict]):
    """Verdicts as they are reached, in no particular order; a context manager.

    Solutions may be given while others are judged. Those whose time came near a limit are
    judged once more, alone, when all others are done; their verdicts come last.

    Args:
        dataset: the problems that solutions are for.
        settings: how to judge.
        cache_folder: where what the references give is kept; None: nowhere.
        hash_seed: of strings in programs under test; what is expected comes from seed 0.

    Attributes:
        isolation: `bubblewrap` or `process`.
        outstanding: how many solutions were given and not yet judged, the second time apart.
        retried: how many solutions were judged once more alone.
        changed: how many of these got another verdict.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: SandboxConfig | None = None,
        cache_folder: Path | None = None,
        hash_seed: int = 0,
    ) -> None:
        self._hash_seed = hash_seed
        self._settings = settings or SandboxConfig()
        self._workers = self._settings.workers or _cores()
        self.isolation = choose(self._settings.isolation.value)
        self.retried = 0
        self.changed = 0
        self._dataset = dataset
        self._problems = {problem.id: problem for problem in dataset.problems}
        self._places = {name: float(place) for place, name in enumerate(self._problems)}
        self._truths = Truths(self._problems, cache_folder)
        self._pool: Pool[_Desk, Problem | Solution, Judged | None] = Pool(self._desk, self._work)
        self._given: queue.SimpleQueue[Solution | None] = queue.SimpleQueue()
        self._feeder: threading.Thread | None = None
        self._lock = threading.Lock()
        self._unmeasured: dict[str, list[Solution]] = {}
        self.outstanding = 0
        self._is_over = False
        self._desks: list[_Desk] = []
        self._again: list[tuple[Solution, Verdict]] = []
        self._all = self._verdicts()

    def give(self, solutions: Iterable[Solution]) -> None:
        """Have solutions judged.

        Raises:
            DatasetError: one is for an unknown problem.
        """
        for solution in solutions:
            if solution.problem_id not in self._problems:
                raise DatasetError(
                    f"A solution is for {solution.problem_id}, which is not in {self._dataset.name}"
                )
            self.outstanding += 1
            self._given.put(solution)

    def use(self, cores: int) -> None:
        """Judge so many at once from now on, but no more than the settings say; at first none."""
        # each starts a guest at once: no more than there is work for
        self._pool.allow(min(cores, self._workers, self.outstanding))
        if cores and self._feeder is None:
            self._feeder = threading.Thread(target=self._feed, daemon=True)
            self._feeder.start()

    def ready(self) -> Iterator[Verdict]:
        """Yield the verdicts that were reached, without waiting for more.

        Raises:
            SandboxError: the sandbox does not work here.
            DatasetError: a reference fails.
        """
        while (done := self._pool.get(wait=False)) is not None:
            yield from self._reached(*done)

    def __next__(self) -> Verdict:
        """Wait for the next verdict of those that were given; errors are those of `ready`."""
        return next(self._all)

    def close(self) -> None:
        """Judge nothing more, and end the programs that are being judged."""
        self._all.close()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _verdicts(self) -> Generator[Verdict, None, None]:
        try:
            self.use(self._workers)
            while self.outstanding:
                done = self._pool.get(wait=True)
                assert done is not None
                yield from self._reached(*done)
        finally:
            self._end()
        if not self._again:
            return
        with self._sandbox(self._settings, self._hash_seed) as sandbox:
            for solution, before in self._again:
                truth = self._truths[solution.problem_id]
                judged = judge_one(sandbox, solution, truth, self._settings)
                self.retried += 1
                verdict = replace(judged.verdict, retried=True)
                self.changed += (verdict.base, verdict.plus) != (before.base, before.plus)
                yield verdict

    def _end(self) -> None:
        self._is_over = True
        self._given.put(None)
        for desk in self._desks:
            desk.judging.give_up()
            desk.measuring.give_up()
        self._pool.close()

    def _reached(self, task: Problem | Solution, judged: Judged | None) -> Iterator[Verdict]:
        if isinstance(task, Problem):
            return
        assert judged is not None
        self.outstanding -= 1
        if judged.near:
            self._again.append((task, judged.verdict))
        else:
            yield judged.verdict

    def _feed(self) -> None:
        try:
            while (solution := self._given.get()) is not None and not self._is_over:
                name = solution.problem_id
                with self._lock:
                    if name in self._unmeasured:
                        self._unmeasured[name].append(solution)
                        continue
                if self._truths.recall(name) is not None:
                    self._put(solution)
                    continue
                with self._lock:
                    self._unmeasured[name] = [solution]
                self._pool.put(self._problems[name], _FIRST)
        except BaseException as error:  # raised again by the caller's thread
            self._pool.fail(error)

    def _work(self, desk: "_Desk", task: Problem | Solution) -> Judged | None:
        if isinstance(task, Solution):
            return judge_one(desk.judging, task, self._truths[task.problem_id], self._settings)
        self._truths.measure(desk.measuring, task.id)
        with self._lock:
            solutions = self._unmeasured.pop(task.id)
        for solution in solutions:
            self._put(solution)
        return None

    def _put(self, solution: Solution) -> None:
        """Have a solution judged: the longest first, so that no worker is left alone with one.

        Those of a problem come together, since its inputs stay with the guest.
        """
        name = solution.problem_id
        self._pool.put(solution, (1.0, -self._truths[name].seconds, self._places[name]))

    def _sandbox(self, limits: SandboxConfig, hash_seed: int) -> Sandbox:
        return Sandbox(limits, self.isolation, self._dataset.preload, hash_seed)

    def _desk(self) -> "_Desk":
        limits = self._settings
        desk = _Desk(self._sandbox(limits, self._hash_seed), self._sandbox(generous(limits), 0))
        self._desks.append(desk)
        if self._is_over:  # and none may have seen it in the list
            desk.judging.give_up()
        return desk


class _Desk:
    """A worker's sandboxes: for solutions, and for references, which starts when it is needed."""

    def __init__(self, judging: Sandbox, measuring: Sandbox) -> None:
        self.judging = judging
        self.measuring = measuring

    def __enter__(self) -> Self:
        self.judging.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.judging.close()
        self.measuring.close()


def judge(
    solutions: Iterable[Solution],
    dataset: Dataset,
    settings: SandboxConfig | None = None,
    cache_folder: Path | None = None,
    hash_seed: int = 0,
) -> Judging:
    """Judge solutions and yield a verdict for each, as they are reached; see `Judging`.

    Raises:
        SandboxError: the sandbox does not work here.
        DatasetError: a solution is for an unknown problem, or a reference fails.
    """
    judging = Judging(dataset, settings, cache_folder, hash_seed)
    judging.give(solutions)
    return judging


def _cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
