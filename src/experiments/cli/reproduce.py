"""Make a run again, and say whether the same came out: `experiments reproduce`."""

from __future__ import annotations

import random
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from experiments import app, experiment, report
from experiments.app import readable_config_errors, sent, trust
from experiments.app.run_folder import new_folder
from experiments.environment.provenance import provenance
from experiments.environment.terminal import results
from experiments.errors import StoreError
from experiments.experiment import repeating, shared
from experiments.experiment.folder import manifest
from experiments.records import run_name
from experiments.store import archive, runs

NOT_KEPT = ("cache=off", "tracking.enabled=false", "sandbox.rejudge=true")
"""A repetition takes nothing from earlier runs, and is no result of its own."""


def reproduce(
    source: Path, overrides: Sequence[str], sample: int | None, conf: Path, outputs: Path
) -> bool:
    """Make the runs in a folder or an archive again; return whether all came out the same.

    Args:
        source: a folder of runs, or an archive.
        overrides: what to change: where weights are here, for example.
        sample: so many random problems of each; None: all.
        conf: the configuration.
        outputs: where folders of runs are made.

    Raises:
        UserError: there is no run, or it cannot be made here.
    """
    with _folder(source, outputs) as folder:
        found, _ = report.find_runs([folder])
        if not found:
            raise StoreError(f"No run in {source}", "Name the folder of a run or of a sweep.")
        same = [_again(run, overrides, sample, conf, outputs) for run in found]
        return all(same)


def _again(
    before: Path, overrides: Sequence[str], sample: int | None, conf: Path, outputs: Path
) -> bool:
    """Make one run again and say what came out."""
    was = runs.read_manifest(before)
    if not (before / runs.GENERATIONS).exists():
        raise StoreError(f"{before} holds programs from elsewhere, and nothing that made them")
    results.print(f"Again: {run_name(runs.read_report(before).labels)}", markup=False)
    results.print(f"Made on {_machine(was)}; this is {_machine(provenance())}.", markup=False)
    chosen = [each.lstrip("+~").partition("=")[0] for each in overrides]
    sent.register(_content(before), chosen)
    folder = Path(new_folder(str(outputs / "reproduced")))
    with readable_config_errors(), initialize_config_dir(str(conf), version_base="1.3"):
        config = compose(sent.SENT, [*overrides, *NOT_KEPT])
        trust.check_servers(config, overrides)
        if "store" not in chosen:
            config.store = str(outputs / "store")
        plan = app.plan_of(config, folder, [*overrides])
    differs = repeating.circumstances(was, manifest(plan))
    for reason in (*differs.texts, *differs.verdicts):
        results.print(f"  {reason}", markup=False)
    if not differs.texts:
        results.print("Weights, llama.cpp, processor and settings are as they were.")
    if sample is not None:
        plan = repeating.some_of(plan, sample, random.SystemRandom())
    experiment.run(plan)
    asked = {verdict.problem_id for verdict in runs.read_verdicts(before)}
    compared = repeating.compare(before, folder, len(asked))
    for line in compared.lines:
        results.print(line, markup=False, soft_wrap=True)
    results.print(f"The repetition: {folder}", markup=False, soft_wrap=True)
    return compared.is_same


def _machine(manifest: Any) -> str:
    machine = manifest.get("machine") or {}
    return f"{machine.get('processor')}, {machine.get('cores')} cores"


def _content(folder: Path) -> dict[str, Any]:
    path = folder / runs.SHARED
    return sent.read(path) if path.exists() else shared.remade(folder)


@contextmanager
def _folder(source: Path, outputs: Path) -> Iterator[Path]:
    """Yield the folder of the runs; an archive is unpacked for as long."""
    if source.is_file():
        if not archive.is_archive(source):
            hint = "Name the folder of a run or of a sweep, an archive, or an MLflow run id."
            if runs.is_finished(source.parent):
                hint = f"Type: experiments reproduce {shlex.quote(str(source.parent))}"
            raise StoreError(f"{source} is no archive of runs", hint)
        with archive.unpacked(source, outputs) as folder:
            yield folder
    else:
        yield source
