"""Bring in runs of another machine, or results of EvalPlus as a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.cli.common import (
    CACHE,
    MLRUNS,
    OUTPUTS,
    add_command,
    add_uri,
    complete,
    load_dataset,
)
from experiments.environment.terminal import results
from experiments.errors import ConfigError, StoreError, TrackingError


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "import",
        "bring in runs of another machine, or results of EvalPlus as a run",
        "experiments import out.zip --judge",
        "experiments import samples_eval_results.json --dataset humaneval_plus",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="archive of experiments export, or result of evalplus.evaluate",
    )
    parser.add_argument(
        "--judge", action="store_true", help="judge the programs of an archive here"
    )
    dataset = parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="name of a file in conf/dataset/, or FILE.jsonl; EvalPlus needs it",
    )
    complete(dataset, "dataset")
    parser.add_argument(
        "--name", help="name of EvalPlus's model, or of the folder; default: the file's"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the runs; default: outputs/imported/NAME"
    )
    parser.add_argument("--no-mlflow", action="store_true", help="leave MLflow out")
    add_uri(parser)
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code; the file's content says which of the two."""
    from experiments.store.archive import is_archive

    of_runs = is_archive(chosen.file)
    endings = (".zip",) if of_runs else (".json", "_eval_results")
    name = chosen.name or chosen.file.name
    for ending in endings if not chosen.name else ():
        name = name.removesuffix(ending)
    if Path(name).name != name or name in ("", ".", ".."):
        raise ConfigError(f"--name is '{name}', which is no name", "Choose one without slashes.")
    folder = chosen.out or OUTPUTS / "imported" / name
    if folder.exists():
        raise StoreError(
            f"{folder} is there already, and would be overwritten",
            "Choose another folder: --out DIR",
        )
    if of_runs:
        _runs(chosen, folder)
    else:
        _evalplus(chosen, name, folder)
    results.print(f"\nImported: {folder}", soft_wrap=True)
    return 0


def _runs(chosen: argparse.Namespace, folder: Path) -> None:
    from experiments.cli.archive import bring_in
    from experiments.experiment import elsewhere
    from experiments.schema import TrackingConfig

    load = (lambda name: load_dataset(chosen.dataset or name)) if chosen.judge else None
    found = bring_in(chosen.file, folder, load, CACHE)
    if not chosen.judge:
        again = f"experiments import {chosen.file} --judge --out DIR"
        results.print(
            f"Verdicts are those of the archive. To judge its programs here: {again}",
            soft_wrap=True,
        )
    if chosen.no_mlflow:
        return
    try:
        where = TrackingConfig(uri=chosen.uri, artifacts=str(MLRUNS / "artifacts"))
        elsewhere.track(found, folder, where)
    except TrackingError as error:
        raise TrackingError(
            error.what,
            f"The runs are in {folder}; to bring them there later: experiments sync {folder}",
        ) from error


def _evalplus(chosen: argparse.Namespace, name: str, folder: Path) -> None:
    from experiments import report
    from experiments.store.files import draft_folder

    if chosen.judge:
        raise ConfigError(
            f"{chosen.file} is no archive of runs, and --judge is for one",
            "Judge samples of EvalPlus with: experiments judge DATASET SAMPLES.jsonl --out FILE",
        )
    if chosen.dataset is None:
        raise ConfigError(
            f"{chosen.file} is no archive of runs, and results of EvalPlus need their data set",
            "Name it: --dataset humaneval_plus",
        )
    with draft_folder(folder.parent) as draft:
        report.import_evalplus(chosen.file, load_dataset(chosen.dataset), name, draft)
        draft.rename(folder)
    report.show([report.read_report(folder)])
