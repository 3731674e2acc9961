"""List models, or fetch one ahead of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.cli.common import CONF, add_command, complete
from experiments.environment.project import at_hand
from experiments.errors import ConfigError


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "models",
        "list models, or fetch one ahead of a run",
        "experiments models",
        "experiments models mistral",
        "experiments models fetch mistral quantization=q4_k_m",
    )
    words = parser.add_argument(
        "words",
        nargs="*",
        metavar="NAME | fetch NAME quantization=LEVEL",
        help="nothing lists all models, a name shows one at every quantization",
    )
    complete(words, "model")
    parser.add_argument("--models", type=Path, default=at_hand("models"), help="folder of weights")
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    import logging

    from experiments.cli import models

    words: list[str] = chosen.words
    if not words:
        models.show(CONF, chosen.models)
    elif words[0] != "fetch" and len(words) == 1:
        models.show_one(words[0], CONF, chosen.models)
    elif words[0] == "fetch" and len(words) > 1:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        models.fetch(words[1], words[2:], CONF, chosen.models)
    else:
        raise ConfigError(
            f"'{' '.join(words)}' is not understood",
            "Type: experiments models fetch NAME quantization=q4_k_m",
        )
    return 0
