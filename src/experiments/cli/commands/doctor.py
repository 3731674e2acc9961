"""Say what this machine can do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = commands.add_parser("doctor", help="say what this machine can do")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of weights")
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.cli import doctor

    doctor.show(chosen.models)
    return 0
