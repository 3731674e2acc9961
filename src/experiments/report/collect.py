"""Folders of runs → one plain structure that tables, plots and the page are made from.

A run's folder is all that is needed (see `store.runs`). What is missing beside the manifest
and the numbers shows as gaps, not as errors.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from experiments.errors import StoreError
from experiments.records import (
    Generation,
    Outcome,
    ProblemInfo,
    RunReport,
    Solution,
    Verdict,
    by_sample,
)
from experiments.report import fidelity, labels, racing
from experiments.report.terminal import shown
from experiments.schema import dotted
from experiments.stats.metrics import pass_rates
from experiments.store import claims, runs
from experiments.store.files import read_yaml

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """What the model wrote, the program in it, and its verdict.

    Attributes:
        text: what the model wrote (its thought if that is all); empty for programs from elsewhere.
        format_kept, syntax_valid: None where the run does not say.
    """

    problem_id: str
    sample: int
    text: str
    program: str
    verdict: Verdict
    format_kept: bool | None = None
    syntax_valid: bool | None = None

    @property
    def passed(self) -> bool:
        """Whether base and extra tests passed."""
        return self.verdict.plus is Outcome.PASSED

    @property
    def kind(self) -> str:
        """The outcome, with programs that Python refuses told apart."""
        if self.syntax_valid is False and self.program.strip() and not self.passed:
            return SYNTAX
        return str(self.verdict.plus)


SYNTAX = "syntax_error"

KINDS = (
    str(Outcome.PASSED),
    str(Outcome.WRONG_ANSWER),
    str(Outcome.RAISED),
    str(Outcome.TIMED_OUT),
    str(Outcome.OUT_OF_MEMORY),
    str(Outcome.DIED),
    SYNTAX,
    str(Outcome.NO_CODE),
    str(Outcome.THOUGHT_UNFINISHED),
)
"""What may become of a sample, the nearest to right first."""


@dataclass(frozen=True)
class Run:
    """One run with everything that a report says of it.

    Attributes:
        report: labels, metrics and note.
        manifest: `manifest.json`.
        config: `.hydra/config.yaml` under dotted names, as it is written; of runs from elsewhere,
            what their `run.yaml` has, if they have one.
        problems: in the order of the data set.
        samples: one per problem and sample.
        sanitized: verdicts of the programs that EvalPlus's sanitizer finds.
        generations: what the samples were made from; empty for programs from elsewhere.
        name: what tells it from the others, in a few words.
        pooled: folders of all runs that it was made of, if there are several.
    """

    report: RunReport
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    problems: tuple[ProblemInfo, ...]
    samples: tuple[Sample, ...]
    sanitized: tuple[Verdict, ...] = ()
    generations: tuple[Generation, ...] = ()
    name: str = ""
    pooled: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its files are."""
        return self.pooled or (self.report.folder,)

    @property
    def labels(self) -> dict[str, str]:
        """What tells this run from its siblings."""
        return self.report.labels

    @property
    def metrics(self) -> dict[str, float]:
        """Its numbers."""
        return self.report.metrics

    @property
    def dataset(self) -> str:
        """The name of its data set."""
        return self.report.labels.get("dataset", "")

    @cached_property
    def rates(self) -> dict[str, float]:
        """For each problem, the share of its samples that pass all tests."""
        return pass_rates(sample.verdict for sample in self.samples)


@dataclass(frozen=True, eq=False)
class Group:
    """Runs on the same data set, the best first. Each group equals itself alone.

    Attributes:
        races: that some of the runs were made in.
        fidelities: levels that were held against a reference on this data set.
    """

    dataset: str
    runs: tuple[Run, ...]
    problems: tuple[ProblemInfo, ...]
    digests: frozenset[str] = frozenset()
    races: tuple[racing.Race, ...] = ()
    fidelities: tuple[fidelity.Fidelity, ...] = ()

    def merit(self, run: Run) -> float:
        """Return by what a run is better than others: its pass@1, or what that is at least.

        Where some runs were asked fewer problems, the lower ends of the intervals decide: one
        problem that is solved is no pass@1 of 100 %.
        """
        alike = len({len(each.rates) for each in self.runs}) == 1
        return _share(run) if alike else run.metrics.get("pass_at_1/plus_low", -1.0)

    @property
    def race(self) -> racing.Race | None:
        """The race that all of the runs were made in, if they were."""
        if len(self.races) != 1:
            return None
        (race,) = self.races
        folders = {run.report.folder.parent for run in self.runs}
        return race if folders == {race.folder} else None


@dataclass(frozen=True)
class Collection:
    """What a report is about.

    Attributes:
        groups: runs by data set.
        failures: folders of jobs that have no result, and why.
        command: the overrides of the sweep, if it was one.
        labels: in which the runs differ, beside the data set.
        notes: what was done with runs that are not shown as they are.
    """

    groups: tuple[Group, ...]
    failures: tuple[tuple[Path, str], ...] = ()
    command: str = ""
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for group in self.groups for run in group.runs]


def collect(folders: Sequence[Path]) -> Collection:
    """Return the runs in these folders, each of which is a run's or a sweep's.

    A run whose files are damaged is told among the failures.

    Raises:
        StoreError: a folder holds no run, or the only one is damaged.
    """
    found, failures = find_runs(folders)
    if not found and not failures:
        raise StoreError(
            f"No run in {', '.join(str(shown(folder)) for folder in folders)}",
            "Name the folder of a run or of a sweep, such as outputs/2026-01-31/12-00-00",
        )
    from experiments.report.pooling import pooled  # which makes runs of these

    is_single = len(found) == 1 and not failures
    whole = [read(found[0])] if is_single else readable(found, read, failures)
    sweeps = dict.fromkeys(run.report.folder.parent for run in whole)
    raced = [folder for folder in sweeps if (folder / runs.RACE).exists()]
    races = readable(raced, racing.read, failures)
    kept = (path for folder in folders for path in sorted(folder.rglob(runs.FIDELITY)))
    compared = dict.fromkeys(path.resolve().parent for path in kept)
    held = readable(compared, fidelity.read, failures)
    asked, notes = pooled(whole)
    named, different = _named(asked)
    beside = tuple(label for label in different if label != "dataset")
    groups = []
    for dataset, members in groupby(
        sorted(named, key=lambda run: run.dataset), key=lambda run: run.dataset
    ):
        groups.append(_group(dataset, list(members), races, held))
    return Collection(tuple(groups), tuple(failures), _command(folders), beside, tuple(notes))


def readable(
    folders: Iterable[Path], read: Callable[[Path], T], failures: list[tuple[Path, str]]
) -> list[T]:
    """Return what some folders keep; those whose files are damaged go to the failures."""
    found = []
    for folder in folders:
        try:
            found.append(read(folder))
        except StoreError as error:
            failures.append((folder, str(error)))
    return found


def newest(outputs: Path) -> Path:
    """Return the folder of the newest run or sweep.

    Raises:
        StoreError: there is none.
    """
    folders = [path.parent for path in outputs.glob(f"*/*/{runs.SWEEP}")]
    folders += [path.parent for path in outputs.glob("*/*/multirun.yaml")]
    folders += [path.parent for path in outputs.glob(f"*/*/{runs.METRICS}")]
    if not folders:
        raise StoreError(
            f"There is no run in {outputs}", "Make one, or name its folder: experiments report DIR"
        )
    return max(folders, key=lambda folder: (folder.parent.name, folder.name))


def find_runs(folders: Iterable[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the folders of finished runs in these, and those of failed ones with reasons.

    Raises:
        StoreError: a folder is missing.
    """
    found: dict[Path, None] = {}
    failures = []
    for folder in folders:
        if not folder.is_dir():
            raise StoreError(
                f"There is no folder {folder}",
                "Name the folder of a run or of a sweep, or an MLflow run id.",
            )
        if runs.is_finished(folder):
            found[folder.resolve()] = None
            continue
        for path in sorted(runs.files_below(folder, runs.METRICS), key=_natural):
            found[path.parent.resolve()] = None
        for job in sorted(_jobs(folder), key=_natural):
            if not runs.is_finished(job):
                failures.append((job, runs.read_failure(job) or _without_result(job)))
    return list(found), failures


def _without_result(job: Path) -> str:
    """Return why a job has neither a result nor a reason."""
    if claims.is_claimed(job):
        return f"it goes on: {claims.holder(job)}"
    return "it has no result: its process was stopped, or died (killed, or out of memory)"


def _jobs(folder: Path) -> set[Path]:
    """Return the folders of jobs that have begun, below one of a sweep or of many."""
    return {
        *(path.parent for path in runs.files_below(folder, runs.FAILURE)),
        *(path.parent.parent for path in runs.files_below(folder, runs.CONFIGURATION)),
    }


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in path.parts]


def read(folder: Path) -> Run:
    """Return one run.

    Raises:
        StoreError: the folder holds no finished run, or its files are damaged.
    """
    try:
        return _read(folder)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{folder} cannot be read: {type(error).__name__}: {error}",
            "Make the run again: one of its files says what none should.",
        ) from error


def _read(folder: Path) -> Run:
    report = runs.read_report(folder)
    made = runs.read_generations(folder)
    generations = by_sample(made)
    programs = by_sample(runs.read_programs(folder))
    samples = []
    for verdict in runs.read_verdicts(folder):
        key = (verdict.problem_id, verdict.sample)
        samples.append(_sample(verdict, generations.get(key), programs.get(key)))
    problems = runs.read_problems(folder)
    asked = dict.fromkeys(sample.problem_id for sample in samples)
    judged = round(report.metrics.get("count/problems", len(asked)))
    if len(asked) < judged:
        raise StoreError(
            f"{folder / runs.VERDICTS} has verdicts on {len(asked)} of {judged} problems",
            "Restore the file, or make the run again: what it generated is in the store.",
        )
    manifest = runs.read_manifest(folder)
    config = _config(folder / runs.CONFIGURATION) or _config(folder / runs.SHARED)
    return Run(
        report=replace(report, metrics=_with_known(report, manifest, config)),
        manifest=manifest,
        config=config,
        problems=tuple(problems or map(ProblemInfo, asked)),
        samples=tuple(samples),
        sanitized=tuple(runs.read_sanitized(folder) or ()),
        generations=tuple(made),
    )


def _with_known(
    report: RunReport, manifest: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, float]:
    """Return a run's numbers with those that its manifest and configuration hold."""
    known: dict[str, float] = {}
    dataset = report.labels.get("dataset", "")
    plus, base = (config.get(f"model.published.{n}") for n in (dataset, dataset[: -len("_plus")]))
    if isinstance(plus, int | float):
        known["published/plus"] = plus / 100
    if isinstance(base, int | float) and dataset.endswith("_plus"):
        known["published/base"] = base / 100
    if "cost/usd" not in report.metrics and "engine/cost_usd" in report.metrics:
        known["cost/usd"] = report.metrics["engine/cost_usd"]  # of runs of earlier versions
    per_problem, per_completion = (f"cost/seconds_per_{each}" for each in ("problem", "completion"))
    single = report.metrics.get("count/generations") == report.metrics.get("count/problems")
    if single and per_problem in report.metrics:  # the same, and earlier versions told one alone
        known[per_completion] = report.metrics[per_problem]
    if weights := manifest.get("weights"):
        bits = weights.get("bits_per_weight") or config.get("quantization.bits_per_weight")
        if bits:
            known["weights/bits_per_weight"] = float(bits)
    return {**report.metrics, **known}


def _sample(verdict: Verdict, generation: Generation | None, found: Solution | None) -> Sample:
    return Sample(
        problem_id=verdict.problem_id,
        sample=verdict.sample,
        text=generation.text or generation.thought if generation else "",
        program=found.program if found else "",
        verdict=verdict,
        format_kept=found.format_kept if found else None,
        syntax_valid=found.syntax_valid if found else None,
    )


def _config(path: Path) -> dict[str, Any]:
    """Return a configuration under dotted names; nothing if there is none.

    Raises:
        StoreError: the file cannot be read.
    """
    content = read_yaml(path)
    return dict(dotted(content)) if isinstance(content, dict) else {}


def noted(path: Path, *names: str) -> Any:
    """Return a part of what Hydra noted of a run or a sweep; None, with a warning, if damaged."""
    try:
        content = read_yaml(path)
    except StoreError as error:
        log.warning("warning: %s", error)
        return None
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _named(found: Sequence[Run]) -> tuple[list[Run], tuple[str, ...]]:
    """Return the runs with short names, and the labels in which they differ."""
    names = labels.relevant([run.labels for run in found])
    known = [
        labels.effective(run.labels, names, _settings(run), partial(_choices, run.report.folder))
        for run in found
    ]
    different = labels.differing(known)
    return [
        replace(run, report=replace(run.report, labels=own), name=name)
        for run, own, name in zip(found, known, labels.names(known, different), strict=True)
    ], tuple(different)


def _settings(run: Run) -> dict[str, Any]:
    """Return a run's settings, with the sampling that was used where the question left it open."""
    used = run.manifest.get("sampling")
    used = used if isinstance(used, Mapping) else {}
    return {**run.config, **{f"sampling.{name}": value for name, value in used.items()}}


def _choices(folder: Path) -> dict[str, str]:
    """Return a run's choice in each group of `conf/`, as Hydra noted it."""
    chosen = noted(folder / runs.HYDRA / "hydra.yaml", "hydra", "runtime", "choices")
    return {str(k): str(v) for k, v in chosen.items()} if isinstance(chosen, Mapping) else {}


def _group(
    dataset: str,
    members: Sequence[Run],
    races: Sequence[racing.Race],
    held: Sequence[fidelity.Fidelity],
) -> Group:
    problems: dict[str, ProblemInfo] = {}
    for run in members:
        for problem in run.problems:
            problems.setdefault(problem.id, problem)
    digests = {str((run.manifest.get("dataset") or {}).get("sha256", "")) for run in members}
    folders = {run.report.folder.parent for run in members}
    own = tuple(race for race in races if race.folder in folders)
    group = Group(
        dataset,
        tuple(members),
        tuple(problems.values()),
        frozenset(digests - {""}),
        own,
        tuple(each for each in held if each.labels["dataset"] == dataset),
    )
    best = sorted(members, key=lambda run: (-group.merit(run), -_share(run), run.name))
    if race := group.race:
        best.sort(key=lambda run: race.place(run.report.folder))
    return replace(group, runs=tuple(best))


def _share(run: Run) -> float:
    return run.metrics.get("pass_at_1/plus", -1.0)


def _command(folders: Sequence[Path]) -> str:
    """Return what was typed for a sweep, if the report is about one."""
    if len(folders) != 1:
        return ""
    for name, flag in (("multirun.yaml", "-m "), (f"{runs.HYDRA}/hydra.yaml", "")):
        overrides = noted(folders[0] / name, "hydra", "overrides", "task")
        if isinstance(overrides, list):
            return f"python run.py {flag}{shlex.join(map(str, overrides))}".rstrip()
    return ""
