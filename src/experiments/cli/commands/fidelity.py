"""Compare levels of a model with a reference, without generating."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.cli.common import CONF, OUTPUTS, add_command


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "fidelity",
        "compare levels of a model with a reference, without generating",
        "experiments fidelity model=demo quantization=q8_0,q4_0,q2_k",
        "experiments fidelity model=mistral quantization=q4_k_m,q2_k reference=q8_0",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings of a run, with several levels: model=demo quantization=q8_0,q4_0; "
        "reference=LEVEL, default: the highest that is here",
    )
    default = OUTPUTS / "fidelity"
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=default,
        help=f"folder of the results; default: {default}",
    )
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    import logging

    from experiments.cli import fidelity

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    fidelity.run(chosen.words, CONF, chosen.out)
    return 0
