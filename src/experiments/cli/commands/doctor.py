"""Say what this machine can do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.cli.common import add_command
from experiments.environment.project import at_hand


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(commands, "doctor", "say what this machine can do", "experiments doctor")
    parser.add_argument("--models", type=Path, default=at_hand("models"), help="folder of weights")
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.cli import doctor

    doctor.show(chosen.models)
    return 0
