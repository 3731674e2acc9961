"""What several commands share: where things lie, and how arguments are read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.environment.project import PROJECT, at_hand
from experiments.errors import DatasetError, did_you_mean

if TYPE_CHECKING:
    from experiments.records import Dataset

CONF = PROJECT / "conf"
OUTPUTS = at_hand("outputs")
CACHE = OUTPUTS / "cache"
MLRUNS = at_hand("mlruns")
TRACKING = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{MLRUNS}/mlflow.db"


def add_command(commands: Any, name: str, does: str, *examples: str) -> argparse.ArgumentParser:
    """Add a subcommand whose help says what it does and ends with examples to type.

    Args:
        commands: the subparsers of `experiments`.
        name: of the command.
        does: what it does, in a few words.
        examples: whole command lines.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=does,
        description=f"{does[:1].upper()}{does[1:]}.",
        epilog="\n".join(["examples:", *(f"  {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add the folder of runs that a command is about."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        default=OUTPUTS,
        help="folder of runs; default: outputs",
    )


def add_uri(parser: argparse.ArgumentParser) -> None:
    """Add the address of MLflow, which is this project's own unless it is given."""
    parser.add_argument("--uri", default=TRACKING, help=f"address of MLflow; default: {TRACKING}")


def complete(argument: argparse.Action, group: str) -> None:
    """Let the shell complete an argument with the names of the files in a folder of `conf/`."""

    def names(**_: Any) -> list[str]:
        return sorted(path.stem for path in CONF.glob(f"{group}/*.yaml"))

    argument.completer = names  # type: ignore[attr-defined]


def run_folder(name: str, uri: str) -> Path:
    """Return a folder of runs; those of an MLflow run are fetched."""
    from experiments.tracking.fetching import fetch, is_run_id

    if Path(name).exists() or not is_run_id(name):
        return Path(name)
    return fetch(uri, name, OUTPUTS / "fetched")


def count(text: str) -> int:
    """Return a number that is given on the command line, which is 1 or more."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no such number; take 1 or more")
    return int(text)


def load_dataset(name: str) -> Dataset:
    """Return the data set that `conf/dataset/NAME.yaml` describes, or that a JSON Lines file has.

    Raises:
        DatasetError: there is no such file, or the data set cannot be loaded.
    """
    from omegaconf import OmegaConf

    from experiments.app import trust
    from experiments.problems.jsonl import JSON_LINES, load_jsonl

    if name.endswith(JSON_LINES):
        return load_jsonl(name)
    known = {path.stem: path for path in CONF.glob("dataset/*.yaml")}
    if name not in known:
        raise DatasetError(f"There is no data set '{name}'", did_you_mean(name, known))
    dataset: Dataset = trust.made(OmegaConf.load(known[name]), "dataset")
    return dataset
