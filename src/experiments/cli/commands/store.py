"""Say how large the store of generations is, or remove some of it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from experiments.cli.common import OUTPUTS, add_command

_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}


def age(text: str) -> float:
    """Return an age that is given on the command line, in seconds."""
    if not re.fullmatch(r"[0-9]{1,6}[hdw]", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no age; take 90d, 12h or 8w")
    return float(text[:-1]) * _SECONDS[text[-1]]


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "store",
        "say how large the store of generations is, or remove some of it",
        "experiments store",
        "experiments store --prune --older-than 90d",
        "experiments store --prune --unused --older-than 4w --yes",
        "experiments store --prune --model mistral",
    )
    parser.add_argument(
        "--store", type=Path, default=OUTPUTS / "store", help="folder of the generations"
    )
    parser.add_argument("--prune", action="store_true", help="remove what all of these choose:")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="generations of this model"
    )
    parser.add_argument(
        "--older-than", type=age, metavar="90d", help="what was kept so long ago, verdicts as well"
    )
    parser.add_argument(
        "--unused", action="store_true", help="generations that no run's folder has"
    )
    parser.add_argument(
        "--outputs", type=Path, default=OUTPUTS, help="folder of runs, with --unused"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before")
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Show the store, prune it if that was asked, and return the exit code."""
    from experiments.cli import store

    if not chosen.prune:
        store.show(chosen.store)
        return 0
    return store.prune(
        chosen.store,
        models=chosen.model,
        older_than=chosen.older_than,
        unused_in=chosen.outputs if chosen.unused else None,
        ask=not chosen.yes,
    )
