"""Verdicts for many solutions, streamed as they are reached.

Equal programs of a problem are judged once: in one call, and between calls where there is a
folder to keep verdicts in. A verdict is kept under a key of all that decides it. One that the
machine may have decided (a timeout, a death) is kept only if a second judgement agrees.
"""

import hashlib
import json
import logging
import platform
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Self

from experiments import sandbox
from experiments.environment.machine import cores
from experiments.errors import DatasetError, StoreError
from experiments.judge.program import judge_program
from experiments.judge.references import References, reference_limits
from experiments.judge.workers import Workers
from experiments.records import Dataset, Solution, Verdict
from experiments.sandbox import Sandbox, choose
from experiments.schema import SandboxConfig
from experiments.store import VerdictStore
from experiments.store.lock import locked

log = logging.getLogger(__name__)


class Judging(Iterator[Verdict]):
    """Verdicts as they are reached, in no particular order; a context manager.

    Programs whose verdict is doubtful are judged once more when all others are done. Closing
    ends the programs that are running.

    Attributes:
        isolation: `bubblewrap` or `process`.
        kept: how many solutions have a verdict that was kept from an earlier call.
        shared: how many solutions have the verdict of an equal one of this call.
        retried: how many programs were judged a second time.
        changed: how many of these got another verdict.
    """

    def __init__(
        self,
        solutions: Iterable[Solution],
        dataset: Dataset,
        settings: SandboxConfig | None = None,
        cache_folder: Path | None = None,
        hash_seed: int = 0,
    ) -> None:
        self._dataset = dataset
        self._settings = settings or SandboxConfig()
        self._hash_seed = hash_seed
        self.isolation = choose(self._settings.isolation.value)
        self.kept = self.shared = self.retried = self.changed = 0
        self._problems = {problem.id: problem for problem in dataset.problems}
        self._solutions = list(solutions)
        for solution in self._solutions:
            if solution.problem_id not in self._problems:
                raise DatasetError(
                    f"A solution is for {solution.problem_id}, which is not in {dataset.name}"
                )
        self._store = _verdict_store(cache_folder)
        self._cache = cache_folder if self._store else None
        self._references = References(self._problems, self._cache)
        self._all = self._verdicts()

    def __next__(self) -> Verdict:
        """Wait for the next verdict.

        Raises:
            SandboxError: the sandbox does not work here.
            DatasetError: a reference fails.
            StoreError: a verdict cannot be kept.
        """
        return next(self._all)

    def close(self) -> None:
        """Judge nothing more, and end the programs that are running."""
        self._all.close()
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _verdicts(self) -> Generator[Verdict, None, None]:
        equal: dict[str, list[Solution]] = defaultdict(list)
        for solution in self._solutions:
            equal[self._key(solution)].append(solution)
        if self._store is not None and not self._settings.rejudge:
            for key, verdict in self._store.find(equal).items():
                solutions = equal.pop(key)
                self.kept += len(solutions)
                yield from _for_each(solutions, verdict)
        if not equal:
            return
        self._compute_references({solutions[0].problem_id for solutions in equal.values()})
        for key, verdict in self._judged({key: found[0] for key, found in equal.items()}):
            self.shared += len(equal[key]) - 1
            yield from _for_each(equal[key], verdict)

    def _compute_references(self, names: set[str]) -> None:
        """Have the outputs of these problems' references at hand; their sandboxes end with it.

        Runs that start together would all compute them: one does, and the others wait for it.
        """
        wanted = [name for name in self._problems if name in names]
        missing = [name for name in wanted if not self._references.load(name)]
        if not missing:
            return
        with locked(self._cache / "references", "computes") if self._cache else nullcontext():
            missing = [name for name in missing if not self._references.load(name)]
            with self._workers(reference_limits(self._settings), len(missing), 0) as workers:
                for _ in workers.each(self._references.compute, missing):
                    pass

    def _judged(self, solutions: dict[str, Solution]) -> Iterator[tuple[str, Verdict]]:
        """Judge a solution for each key, and keep verdicts that are certain."""
        doubtful: dict[str, Verdict] = {}
        with self._workers(self._settings, len(solutions), self._hash_seed) as workers:
            for key, (verdict, is_doubtful) in workers.each(
                lambda own, key: self._judge(own, solutions[key], False),
                self._longest_first(solutions),
            ):
                if is_doubtful:
                    doubtful[key] = verdict
                else:
                    self._keep(key, verdict)
                    yield key, verdict
            for key, (verdict, _) in workers.each(
                lambda own, key: self._judge(own, solutions[key], True), doubtful
            ):
                before = doubtful[key]
                agrees = (verdict.base, verdict.plus) == (before.base, before.plus)
                self.retried += 1
                self.changed += not agrees
                if agrees:
                    self._keep(key, verdict)
                yield key, verdict

    def _judge(self, own: Sandbox, solution: Solution, is_second: bool) -> tuple[Verdict, bool]:
        reference = self._references[solution.problem_id]
        return judge_program(own, solution.program, reference, self._settings, is_second)

    def _longest_first(self, solutions: dict[str, Solution]) -> list[str]:
        """Order keys so that no worker is left alone with a long program at the end.

        Those of a problem come together, since its inputs stay with a sandbox.
        """
        order = {name: number for number, name in enumerate(self._problems)}

        def rank(key: str) -> tuple[float, int]:
            name = solutions[key].problem_id
            return -self._references[name].seconds, order[name]

        return sorted(solutions, key=rank)

    def _workers(self, limits: SandboxConfig, tasks: int, hash_seed: int) -> Workers:
        count = min(self._settings.workers or cores(), max(1, tasks))
        preload = self._dataset.preload
        return Workers([Sandbox(limits, self.isolation, preload, hash_seed) for _ in range(count)])

    def _keep(self, key: str, verdict: Verdict) -> None:
        if self._store is not None:
            self._store.append(key, verdict)

    def _key(self, solution: Solution) -> str:
        """Return a digest of all that decides the verdict of a solution."""
        problem = self._problems[solution.problem_id]
        parts = [
            self._circumstances,
            self._references.key(problem.id),
            f"{len(problem.base_inputs)} {problem.comparison} {problem.atol!r}",
            solution.program,
        ]
        digest = hashlib.sha256()
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            digest.update(b"%d:" % len(data) + data)
        return digest.hexdigest()

    @cached_property
    def _circumstances(self) -> str:
        """What decides verdicts beside the problem and the program."""
        limits = asdict(self._settings)
        for name in ("workers", "isolation", "rejudge"):
            del limits[name]
        return json.dumps(
            {
                "judge": _source_digest(),
                "python": f"{platform.python_implementation()} {platform.python_version()}",
                "numpy": version("numpy"),
                "machine": platform.machine(),
                "isolation": self.isolation,
                "hash_seed": self._hash_seed,
                "preload": self._dataset.preload,
                "limits": limits,
            },
            sort_keys=True,
        )


def judge(
    solutions: Iterable[Solution],
    dataset: Dataset,
    settings: SandboxConfig | None = None,
    cache_folder: Path | None = None,
    hash_seed: int = 0,
) -> Judging:
    """Judge solutions and yield a verdict for each, as they are reached; see `Judging`.

    Args:
        solutions: what to judge.
        dataset: the problems that they are for.
        settings: how to judge.
        cache_folder: where verdicts and outputs of references are kept; None: nowhere.
        hash_seed: of strings in programs under test; expected outputs come from seed 0.

    Raises:
        SandboxError: the sandbox does not work here.
        DatasetError: a solution is for an unknown problem, or a reference fails.
    """
    return Judging(solutions, dataset, settings, cache_folder, hash_seed)


def _for_each(solutions: Iterable[Solution], verdict: Verdict) -> Iterator[Verdict]:
    """Yield the verdict of equal solutions, as that of each."""
    for solution in solutions:
        yield replace(verdict, problem_id=solution.problem_id, sample=solution.sample)


def _verdict_store(cache_folder: Path | None) -> VerdictStore | None:
    """Return where verdicts are kept; None where that is nowhere, or cannot be."""
    if cache_folder is None:
        return None
    try:
        return VerdictStore(cache_folder / "verdicts")
    except StoreError as error:
        log.warning("Neither verdicts nor outputs of references are kept. %s", error)
        return None


@cache
def _source_digest() -> str:
    """Return a digest of the judge and the sandbox: a change to either may change verdicts."""
    digest = hashlib.sha256()
    for package in (Path(__file__).parent, Path(sandbox.__file__).parent):
        for path in sorted(package.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
