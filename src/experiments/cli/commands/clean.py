"""Remove runs that failed or were stopped."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from experiments.cli.common import add_command, add_folder
from experiments.environment.terminal import counted, results, size
from experiments.errors import ConfigError


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "clean",
        "remove runs that failed or were stopped",
        "experiments clean",
        "experiments clean outputs/2026-01-31 --yes",
    )
    add_folder(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask before")
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.report import listing

    found = listing.removable(listing.listed(chosen.folder))
    if not found:
        results.print("There is nothing to remove: no run failed or was stopped.", soft_wrap=True)
        return 0
    listing.show(found, chosen.folder)
    taken = size(listing.bytes_of(found))
    results.print(f"{counted(len(found), 'folder')}, {taken}. Generations are kept in the store.")
    if not chosen.yes:
        if not sys.stdin.isatty():
            raise ConfigError("Nobody can be asked here", "To remove them: experiments clean --yes")
        if input("Remove them? [y/N] ").strip().lower() not in ("y", "yes"):
            return 1
    results.print(f"{listing.remove(found, chosen.folder)} removed.")
    return 0
