"""Runs of another machine: their verdicts are somebody else's until they are judged here.

Numbers follow from verdicts, so they are summed up here in either case. What a run cost is as the
other machine measured it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from experiments.errors import DatasetError, StoreError
from experiments.experiment import shared
from experiments.judge import judge
from experiments.records import Dataset, Generation, Solution, Verdict, by_sample, run_name
from experiments.schema import TrackingConfig, dotted
from experiments.stats.metrics import summarise
from experiments.store import runs
from experiments.tracking import notes, syncing
from experiments.tracking.notes import NewRun
from experiments.tracking.opening import address

_Record = TypeVar("_Record", Generation, Verdict)

LABEL = "verdicts"
RESULT = "pass_at_1/plus"
ELSEWHERE = "of somebody else"
"""The label that such a run has in tables and in MLflow."""


def adopt(folder: Path, archive: str) -> None:
    """Mark a run that came in an archive, and sum it up.

    Raises:
        StoreError: its files do not go together.
    """
    manifest = runs.read_manifest(folder)
    for name in ("dataset", "weights", "backend", "machine", "versions", "source"):
        if not isinstance(manifest.get(name) or {}, dict):
            raise StoreError(f"{folder}: its manifest has no names and values under {name}")
    verdicts = _checked(folder, "verdicts", runs.read_verdicts(folder))
    _write(folder, verdicts, ELSEWHERE, f"Verdicts as {archive} has them: nothing was judged here.")


def judge_here(folder: Path, load: Callable[[str], Dataset], cache: Path) -> int:
    """Judge the programs of a run on this machine; return how many verdicts that changed.

    Args:
        folder: of the run.
        load: gives a data set by its name.
        cache: where verdicts are kept.

    Raises:
        DatasetError: the data set is not here, or is another.
        SandboxError: the sandbox does not work here.
        StoreError: the run's files do not go together.
    """
    manifest = runs.read_manifest(folder)
    data = manifest.get("dataset") or {}
    dataset = load(str(data.get("name")))
    if dataset.digest != data.get("sha256"):
        raise DatasetError(
            f"{folder} was asked another version of {dataset.name}: its digest differs",
            "Name the file of its problems: --dataset FILE.jsonl",
        )
    before = _checked(folder, "verdicts", runs.read_verdicts(folder))
    with judge(runs.read_programs(folder), dataset, cache_folder=cache) as judging:
        found = by_sample(judging)
    # A model that had not come to an answer has none, whatever the judge would say of no program.
    after = [
        was if was.base == "thought_unfinished" else found[was.problem_id, was.sample]
        for was in before
    ]
    changed = sum((a.base, a.plus) != (b.base, b.plus) for a, b in zip(before, after, strict=True))
    note = f"Judged here anew: {len(after) - changed} of {len(after)} verdicts are as they came."
    _write(folder, after, "", note)
    return changed


def _write(folder: Path, verdicts: list[Verdict], label: str, note: str) -> None:
    """Write a run's files anew, its numbers from the verdicts, and say whose they are."""
    manifest, report = runs.read_manifest(folder), runs.read_report(folder)
    generations = _checked(folder, "generations", runs.read_generations(folder))
    programs = judged_programs(folder, verdicts)
    problems = runs.read_problems(folder)
    summed = summarise(verdicts, programs, generations, problems)
    if summed.get(RESULT) == report.metrics.get(RESULT):  # else what a solved one costs is another
        summed = {k: n for k, n in summed.items() if not k.startswith(("cost/", "speed/"))}
    first = manifest.get("note_of_origin", manifest.get("note") or "")
    labels = {name: value for name, value in report.labels.items() if name != LABEL}
    runs.write_run(
        folder,
        generations=generations or None,
        verdicts=verdicts,
        programs=programs,
        problems=problems,
        manifest={
            **manifest,
            "labels": labels | ({LABEL: label} if label else {}),
            "note": f"{note} {first}".strip(),
            "note_of_origin": first,
        },
        metrics=report.metrics | summed,
        prompts=runs.read_prompts(folder),
    )


def judged_programs(folder: Path, verdicts: Sequence[Verdict]) -> list[Solution]:
    """Return the programs of a run, one for each verdict.

    Raises:
        StoreError: they are others.
    """
    programs = runs.read_programs(folder)
    told = [(verdict.problem_id, verdict.sample) for verdict in verdicts]
    if not told or told != [(program.problem_id, program.sample) for program in programs]:
        raise StoreError(f"{folder}: programs and verdicts do not go together", "It is damaged.")
    return programs


def _checked(folder: Path, what: str, records: list[_Record]) -> list[_Record]:
    """Return records, each value of which is of its kind: they may come from anybody."""
    for record in records:
        hints = get_type_hints(type(record))
        for each in fields(record):
            kind: Any = hints[each.name]
            kinds = (int, float) if kind is float else kind
            if not isinstance(getattr(record, each.name), kinds):
                raise StoreError(
                    f"{folder}: the {what} hold a {each.name} that is no {kind}", "It is damaged."
                )
    return records


def track(folders: Sequence[Path], whole: Path, tracking: TrackingConfig) -> None:
    """Show runs in MLflow, with their samples, below a run for all of them, each but once.

    Args:
        folders: of the runs.
        whole: the folder that they are in.
        tracking: where MLflow keeps them.

    Raises:
        TrackingError: the database or the server cannot be used; `experiments sync` goes on then.
    """
    where = (address(tracking.uri), tracking.artifacts, tracking.experiment)
    kind = {"kind": "sweep", "run_folder": str(whole.resolve())}
    name = f"imported · {whole.name}"
    _note(NewRun(*where, name, tags=kind, system_metrics=False, folder=whole))
    for folder in folders:
        _note(_new(folder, where))
    syncing.sync_apart([whole, *folders], where[0])


def _note(new: NewRun) -> None:
    notes.write(replace(notes.opened(new, time.time()), status="FINISHED"))


def _new(folder: Path, where: tuple[str, str | None, str]) -> NewRun:
    """Return what a run in MLflow begins with: what its folder says."""
    manifest, report = runs.read_manifest(folder), runs.read_report(folder)
    machine, data = manifest.get("machine") or {}, manifest.get("dataset") or {}
    problems = len(runs.read_problems(folder))
    return NewRun(
        *where,
        name=run_name(report.labels),
        tags={
            **report.labels,
            "kind": "run",
            "machine": f"{machine.get('processor')}, {machine.get('cores')} cores",
            "run_folder": str(folder.resolve()),
        },
        system_metrics=False,
        parameters=dict(dotted(shared.kept(folder))),
        dataset=(str(data.get("name")), str(data.get("sha256")), problems),
        folder=folder,
    )
