"""Folders of runs → one plain structure that tables, plots and the page are made from.

A run's folder is all that is needed: `manifest.json`, `metrics.json`, `problems.jsonl`,
`generations.jsonl`, `samples.jsonl`, `verdicts.jsonl`, `.hydra/config.yaml`. What is missing
beside the first two shows as gaps, not as errors. Where `sanitizer.jsonl` is there, it holds
the verdicts of the programs that EvalPlus's sanitizer found.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from experiments import store
from experiments.errors import StoreError
from experiments.records import Generation, Outcome, RunReport, Verdict
from experiments.report.terminal import CHOICES, differing, read_run, shown
from experiments.schema import dotted
from experiments.stats.metrics import pass_rates

log = logging.getLogger(__name__)

SANITIZED = "sanitizer.jsonl"
"""A run's verdicts on the programs that EvalPlus's sanitizer finds."""

_BESIDE_THE_POINT = frozenset({"models", "store", "dataset.folder", "tracking.uri"})
"""Labels that name places on a disk: they tell no run from another."""


@dataclass(frozen=True)
class ProblemInfo:
    """What is shown of a problem."""

    id: str
    title: str = ""
    difficulty: str = ""
    topics: tuple[str, ...] = ()
    entry_point: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class Attempt:
    """One sample: what the model wrote, the program in it, and its verdict.

    Attributes:
        text: what the model wrote; empty for programs from elsewhere.
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
        if self.verdict.plus in _NOT_OF_SYNTAX or self.syntax_valid is not False:
            return str(self.verdict.plus)
        return SYNTAX


SYNTAX = "syntax_error"
_NOT_OF_SYNTAX = (Outcome.PASSED, Outcome.NO_CODE, Outcome.THOUGHT_UNFINISHED)

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
"""What may become of an attempt, the nearest to right first."""


@dataclass(frozen=True)
class Run:
    """One run with everything that a report says of it.

    Attributes:
        report: labels, metrics and note.
        manifest: `manifest.json`.
        config: `.hydra/config.yaml`, resolved, under dotted names; empty for imported runs.
        problems: in the order of the data set.
        attempts: one per problem and sample.
        sanitized: verdicts of the programs that EvalPlus's sanitizer finds.
    """

    report: RunReport
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    problems: tuple[ProblemInfo, ...]
    attempts: tuple[Attempt, ...]
    sanitized: tuple[Verdict, ...] = ()
    name: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """What tells this run from its siblings, without places on a disk."""
        return {k: v for k, v in self.report.labels.items() if k not in _BESIDE_THE_POINT}

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
        return pass_rates(attempt.verdict for attempt in self.attempts)

    @property
    def bits_per_weight(self) -> float | None:
        """As measured, else as the level says; None if the run had no weights."""
        weights = self.manifest.get("weights")
        if not isinstance(weights, Mapping):
            return None
        found = weights.get("bits_per_weight") or self.config.get("quantization.bits_per_weight")
        return float(found) if found else None


@dataclass(frozen=True, eq=False)
class Group:
    """Runs on the same data set, the best first. Each group equals itself alone."""

    dataset: str
    runs: tuple[Run, ...]
    problems: tuple[ProblemInfo, ...]
    digests: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Collection:
    """What a report is about.

    Attributes:
        groups: runs by data set.
        failures: folders of jobs that have no result, and why.
        command: the overrides of the sweep, if it was one.
    """

    groups: tuple[Group, ...]
    failures: tuple[tuple[Path, str], ...] = ()
    command: str = ""
    labels: tuple[str, ...] = field(default=())

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for group in self.groups for run in group.runs]


def collect(folders: Sequence[Path]) -> Collection:
    """Return the runs in these folders, each of which is a run's or a sweep's.

    Raises:
        StoreError: a folder holds no run.
    """
    found, failures = find_runs(folders)
    if not found and not failures:
        raise StoreError(
            f"No run in {', '.join(str(shown(folder)) for folder in folders)}",
            "Name the folder of a run or of a sweep, such as outputs/2026-01-31/12-00-00",
        )
    runs = [read(folder) for folder in found]
    labels = tuple(differing([RunReport({}, run.report.folder, run.labels) for run in runs]))
    named = _named(runs, labels)
    groups = []
    by_dataset = sorted(named, key=lambda run: run.dataset)
    for dataset, members in groupby(by_dataset, key=lambda run: run.dataset):
        groups.append(_group(dataset, list(members)))
    return Collection(tuple(groups), tuple(failures), _command(folders), labels)


def newest(outputs: Path) -> Path:
    """Return the folder of the newest run or sweep.

    Raises:
        StoreError: there is none.
    """
    folders = [path.parent for path in outputs.glob("*/*/sweep.json")]
    folders += [path.parent for path in outputs.glob("*/*/multirun.yaml")]
    folders += [path.parent for path in outputs.glob("*/*/metrics.json")]
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
        if (folder / "metrics.json").exists():
            found[folder.resolve()] = None
            continue
        for path in sorted(folder.rglob("metrics.json"), key=_natural):
            found[path.parent.resolve()] = None
        for path in sorted(folder.rglob("failure.txt"), key=_natural):
            if not (path.parent / "metrics.json").exists():
                reason = path.read_text(encoding="utf-8").strip().splitlines()
                failures.append((path.parent, reason[-1] if reason else "no reason is given"))
    return list(found), failures


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in path.parts]


def read(folder: Path) -> Run:
    """Return one run.

    Raises:
        StoreError: the folder holds no finished run, or its files are damaged.
    """
    report = read_run(folder)
    texts = {
        (generation.problem_id, generation.sample): generation
        for generation in store.read_generations(folder / "generations.jsonl")
    }
    samples = list(_samples(folder / "samples.jsonl"))
    programs = {(sample["task_id"], sample["sample"]): sample for sample in samples}
    attempts = []
    for verdict in store.read_verdicts(folder / "verdicts.jsonl"):
        key = (verdict.problem_id, verdict.sample)
        attempts.append(_attempt(verdict, texts.get(key), programs.get(key, {})))
    return Run(
        report=report,
        manifest=_json(folder / "manifest.json"),
        config=_config(folder / ".hydra" / "config.yaml"),
        problems=tuple(_problems(folder / "problems.jsonl", attempts)),
        attempts=tuple(attempts),
        sanitized=tuple(store.read_verdicts(folder / SANITIZED)),
    )


def _attempt(verdict: Verdict, generation: Generation | None, sample: dict[str, Any]) -> Attempt:
    return Attempt(
        problem_id=verdict.problem_id,
        sample=verdict.sample,
        text=generation.text if generation else "",
        program=str(sample.get("solution", "")),
        verdict=verdict,
        format_kept=sample.get("format_kept"),
        syntax_valid=sample.get("syntax_valid"),
    )


def _samples(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the samples, numbered within each problem where they are not."""
    numbers: dict[str, int] = {}
    for sample in _lines(path):
        problem = sample["task_id"]
        number = sample.setdefault("sample", numbers.get(problem, 0))
        numbers[problem] = number + 1
        yield sample


def _problems(path: Path, attempts: Sequence[Attempt]) -> Iterator[ProblemInfo]:
    known = False
    for line in _lines(path):
        known = True
        yield ProblemInfo(
            id=line["id"],
            title=line.get("title", ""),
            difficulty=line.get("difficulty", ""),
            topics=tuple(line.get("topics", ())),
            entry_point=line.get("entry_point", ""),
            prompt=line.get("prompt", ""),
        )
    if not known:
        yield from map(ProblemInfo, dict.fromkeys(attempt.problem_id for attempt in attempts))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            log.warning("%s:%d: a damaged line was left out.", path, number)
            continue
        yield record


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _config(path: Path) -> dict[str, Any]:
    """Return a resolved configuration under dotted names."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not path.exists():
        return {}
    try:
        resolved = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OmegaConfBaseException as error:
        log.warning("%s cannot be read: %s", path, error)
        return {}
    return dict(dotted(resolved)) if isinstance(resolved, dict) else {}


def _named(runs: Sequence[Run], labels: Sequence[str]) -> list[Run]:
    """Return the runs with short names: what tells each from the others."""
    from dataclasses import replace

    counts: dict[str, int] = {}
    named = []
    for run in runs:
        parts = [value for label in labels if (value := run.labels.get(label, ""))]
        name = " · ".join(parts) or " · ".join(
            value for choice in CHOICES if (value := run.labels.get(choice, ""))
        )
        counts[name] = counts.get(name, 0) + 1
        named.append((run, name, counts[name]))
    return [
        replace(run, name=f"{name} #{number}" if counts[name] > 1 else name)
        for run, name, number in named
    ]


def _group(dataset: str, runs: Sequence[Run]) -> Group:
    problems: dict[str, ProblemInfo] = {}
    for run in runs:
        for problem in run.problems:
            problems.setdefault(problem.id, problem)
    digests = frozenset(str(run.manifest.get("dataset", {}).get("sha256", "")) for run in runs) - {
        ""
    }
    best = sorted(runs, key=lambda run: (-run.metrics.get("pass_at_1/plus", -1.0), run.name))
    return Group(dataset, tuple(best), tuple(problems.values()), digests)


def _command(folders: Sequence[Path]) -> str:
    """Return what was typed for a sweep, if the report is about one."""
    if len(folders) != 1:
        return ""
    from omegaconf import OmegaConf

    notes = [("multirun.yaml", "-m "), (".hydra/hydra.yaml", "")]
    for name, flag in notes:
        path = folders[0] / name
        if path.exists():
            overrides = OmegaConf.select(OmegaConf.load(path), "hydra.overrides.task") or []
            import shlex

            return f"python run.py {flag}{shlex.join(str(o) for o in overrides)}".rstrip()
    return ""
