"""Passwords in a configuration, which a run uses and leaves nowhere.

The documented way is the environment: `tracking.uri=${oc.env:MLFLOW_TRACKING_URI}`. What a run
keeps of its configuration says just that. A password that was typed as it is, in an address, is
masked in whatever is kept.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from experiments.errors import masked
from experiments.store import runs, write_text


def mask_configuration(folder: Path, sweep_folder: Path | None) -> None:
    """Mask the passwords in what Hydra kept of a configuration.

    Args:
        folder: of the run.
        sweep_folder: of its sweep, if it is of one.

    Raises:
        StoreError: a file could not be written.
    """
    files = list(folder.glob(f"{runs.HYDRA}/*.yaml"))
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
    """Return the values that a configuration takes from the environment, and how it says so.

    A file may ask for them by way of other settings: so all is resolved, and `oc.env` notes names.
    """
    asked: set[str] = set()

    def noted(name: str, *default: Any) -> Any:
        asked.add(name)
        return oc.env(name, *default)

    OmegaConf.register_new_resolver("oc.env", noted, replace=True)
    try:
        _resolve(config)
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
    return {value: f"${{oc.env:{name}}}" for name in asked if (value := os.environ.get(name))}


def _resolve(config: Any) -> None:
    """Look at each value of a configuration once."""
    if not isinstance(config, DictConfig | ListConfig):
        return
    inner: Any = config
    for place in inner if isinstance(inner, DictConfig) else range(len(inner)):
        try:
            _resolve(inner[place])
        except OmegaConfBaseException:
            continue  # it is told when the value is used
