"""Passwords in a configuration, which a run uses and leaves nowhere.

The documented way is the environment: `tracking.uri=${oc.env:MLFLOW_TRACKING_URI}`. What a run
keeps of its configuration says just that. A password that was typed as it is, in an address, is
masked in whatever is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.errors import masked
from experiments.store import write_text

_VARIABLE = re.compile(r"\$\{oc\.env:\s*([^,}\s]+)\s*(?:,[^}]*)?\}")


def mask_configuration(folder: Path, sweep_folder: Path | None) -> None:
    """Mask the passwords in what Hydra kept of a configuration.

    Args:
        folder: of the run.
        sweep_folder: of its sweep, if it is of one.

    Raises:
        StoreError: a file could not be written.
    """
    files = list(folder.glob(".hydra/*.yaml"))
    if sweep_folder is not None:
        files.append(sweep_folder / "multirun.yaml")
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        if (kept := masked(text)) != text:
            write_text(file, kept)


def from_environment(config: DictConfig) -> dict[str, str]:
    """Return the values that a configuration takes from the environment, and how it says so."""
    names = _variables(OmegaConf.to_container(config, resolve=False))
    return {value: f"${{oc.env:{name}}}" for name in names if (value := os.environ.get(name))}


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _variables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _variables(inner)
