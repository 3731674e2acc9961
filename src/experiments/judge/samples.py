"""Judge programs from elsewhere: JSON lines in, JSON lines out."""

import contextlib
import gzip
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.environment.terminal import bar, counted
from experiments.errors import DatasetError, StoreError
from experiments.judge.solutions import Judging, judge
from experiments.records import Dataset, Outcome, Solution, Verdict
from experiments.schema import SandboxConfig
from experiments.stats.metrics import pass_at_k
from experiments.store.files import json_lines, replaceable

KS = (1, 5, 10, 100)

FORM = 'Each line is {"task_id": ..., "solution": ...}, or "completion" instead.'


@dataclass(frozen=True)
class SamplesSummary:
    """What came out of a file of samples.

    Attributes:
        samples, problems: how many were judged, of how many problems.
        missing: problems of the data set that no sample is for; they do not count below.
        outcomes: number of samples by outcome, base and extra tests together.
        base, plus: pass@k by k, for each k that all problems have samples enough for.
        isolation: `bubblewrap` or `process`.
        kept: samples whose verdict was kept from an earlier call.
        shared: samples that have the verdict of an equal one.
        retried, changed: programs judged a second time, and how many verdicts that changed.
    """

    samples: int
    problems: int
    missing: int
    outcomes: dict[str, int]
    base: dict[int, float]
    plus: dict[int, float]
    isolation: str
    kept: int
    shared: int
    retried: int
    changed: int

    def lines(self) -> list[str]:
        """Return the summary as lines for a terminal."""
        samples, problems = counted(self.samples, "sample"), counted(self.problems, "problem")
        found = [f"{samples} of {problems}, {self.isolation}"]
        for name, values in (("base", self.base), ("base + extra", self.plus)):
            shares = "  ".join(f"pass@{k} {100 * value:.1f} %" for k, value in values.items())
            found.append(f"{name}: {shares}")
        found.append("  ".join(f"{name} {count}" for name, count in self.outcomes.items()))
        if self.shared:
            found.append(f"{counted(self.shared, 'has', 'have')} the verdict of an equal sample")
        if self.kept:
            kept = counted(self.kept, "was", "were")
            found.append(f"{kept} judged in an earlier call; --rejudge judges them anew")
        if self.retried:
            programs = counted(self.retried, "program")
            found.append(f"{programs} near a limit judged once more, {self.changed} changed")
        if self.missing:
            have = counted(
                self.missing, "problem of the data set has", "problems of the data set have"
            )
            found.append(f"{have} no sample; pass@k is of the others")
        return found


def judge_samples(
    dataset: Dataset,
    samples_path: Path,
    out_path: Path,
    settings: SandboxConfig,
    cache_folder: Path | None = None,
) -> SamplesSummary:
    """Judge a file of samples and write one line per sample, in their order.

    A line in has `task_id` and `solution`, or `completion`, which goes on from the prompt.
    A line out has all its keys, and `base` and `plus` (outcomes), `tests_passed`,
    `tests_total`, `tests_not_run`, `failure`, `isolation`, `retried`. The file appears when it
    is complete.

    Args:
        dataset: the problems.
        samples_path: `.jsonl` or `.jsonl.gz`.
        out_path: the same choice.
        settings: how to judge.
        cache_folder: see `judge`.

    Raises:
        DatasetError: there is no sample, a line is broken, or is for a problem that is not in
            the data set.
        StoreError: a file cannot be read or written.
    """
    target = replaceable(out_path, "Name a file: --out VERDICTS.jsonl")
    if out_path.exists() and samples_path.exists() and out_path.samefile(samples_path):
        raise StoreError(
            f"--out {out_path} is the file of the samples, which would be lost",
            "Name another file: --out VERDICTS.jsonl",
        )
    samples = list(_read(samples_path, dataset))
    if not samples:
        raise DatasetError(f"{samples_path} holds no samples", FORM)
    solutions = [
        Solution(sample["task_id"], number, program)
        for number, (sample, program) in enumerate(samples)
    ]
    with (
        _writing(target) as write,
        bar("Judging", len(samples)) as progress,
        judge(solutions, dataset, settings, cache_folder) as judging,
    ):
        verdicts = {verdict.sample: verdict for verdict in progress.each(judging)}
        write(
            json.dumps(_line(sample, verdicts[number])) + "\n"
            for number, (sample, _) in enumerate(samples)
        )
    return _summary(dataset, solutions, verdicts, judging)


def _read(path: Path, dataset: Dataset) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each line's object with its program."""
    prompts = {problem.id: problem.prompt for problem in dataset.problems}
    for where, line in json_lines(path, StoreError):
        yield _sample(line, where, prompts, dataset.name)


def _sample(
    line: bytes, where: str, prompts: dict[str, str], dataset: str
) -> tuple[dict[str, Any], str]:
    try:
        sample = json.loads(line.decode("utf-8-sig").strip())
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where} is no JSON: {error}", FORM) from None
    if not isinstance(sample, dict) or not isinstance(sample.get("task_id"), str):
        raise DatasetError(f"{where} has no task_id", FORM)
    name = sample["task_id"]
    if name not in prompts:
        raise DatasetError(
            f"{where}: {dataset} has no problem '{name}'",
            f"Its problems are named like '{next(iter(prompts), '')}'.",
        )
    if isinstance(sample.get("solution"), str):
        return sample, sample["solution"]
    if isinstance(sample.get("completion"), str):
        return sample, prompts[name] + sample["completion"]
    raise DatasetError(f"{where} has neither a solution nor a completion", FORM)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Callable[[Iterable[str]], None]]:
    """Open a file beside the one that is wanted, and give what writes lines and puts it there.

    It is opened first, so that a folder that cannot be written is told before all is judged.
    """
    part = path.with_name(path.name + ".part")
    with contextlib.ExitStack() as stack:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            opening = gzip.open if path.suffix == ".gz" else open
            file: Any = stack.enter_context(opening(part, "wt", encoding="utf-8"))
        stack.callback(part.unlink, missing_ok=True)

        def write(lines: Iterable[str]) -> None:
            with _told(path):
                with file:
                    file.writelines(lines)
                os.replace(part, path)

        yield write


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}", "Choose another --out."
        ) from None


def _line(sample: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    failure = verdict.failure
    return {
        **sample,
        "base": verdict.base.value,
        "plus": verdict.plus.value,
        "tests_passed": verdict.tests_passed,
        "tests_total": verdict.tests_total,
        "tests_not_run": verdict.tests_not_run,
        "failure": None
        if failure is None
        else {"call": failure.call, "expected": failure.expected, "actual": failure.actual},
        "isolation": verdict.isolation,
        "retried": verdict.retried,
    }


def _summary(
    dataset: Dataset,
    solutions: list[Solution],
    verdicts: dict[int, Verdict],
    judging: Judging,
) -> SamplesSummary:
    by_problem: dict[str, list[Verdict]] = defaultdict(list)
    for solution in solutions:
        by_problem[solution.problem_id].append(verdicts[solution.sample])
    fewest = min(len(found) for found in by_problem.values())

    def rates(name: str) -> dict[int, float]:
        return {
            k: sum(
                pass_at_k(len(found), sum(getattr(v, name) is Outcome.PASSED for v in found), k)
                for found in by_problem.values()
            )
            / len(by_problem)
            for k in KS
            if k <= fewest
        }

    counts = Counter(verdict.plus.value for verdict in verdicts.values())
    return SamplesSummary(
        samples=len(solutions),
        problems=len(by_problem),
        missing=len(dataset.problems) - len(by_problem),
        outcomes=dict(counts.most_common()),
        base=rates("base"),
        plus=rates("plus"),
        isolation=judging.isolation,
        kept=judging.kept,
        shared=judging.shared,
        retried=judging.retried,
        changed=judging.changed,
    )
