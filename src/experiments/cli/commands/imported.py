"""Bring in results of EvalPlus as a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.cli.common import OUTPUTS, add_command, complete, load_dataset
from experiments.environment.terminal import results
from experiments.errors import ConfigError


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "import",
        "bring in results of EvalPlus as a run",
        "experiments import samples_eval_results.json --dataset humaneval_plus --name peer",
    )
    parser.add_argument("file", metavar="EVAL_RESULTS.json", type=Path, help="of evalplus.evaluate")
    dataset = parser.add_argument(
        "--dataset", required=True, metavar="NAME", help="as in conf/dataset/"
    )
    complete(dataset, "dataset")
    parser.add_argument("--name", help="of the model; default: the file's name")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: outputs/imported/NAME")
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments import report

    name = chosen.name or chosen.file.name.removesuffix(".json").removesuffix("_eval_results")
    if Path(name).name != name or name == "..":
        raise ConfigError(f"--name is '{name}', which is no name", "Choose one without slashes.")
    folder = chosen.out or OUTPUTS / "imported" / name
    report.import_evalplus(chosen.file, load_dataset(chosen.dataset), name, folder)
    report.show([report.read_report(folder)])
    results.print(f"\nImported: {folder}", soft_wrap=True)
    return 0
