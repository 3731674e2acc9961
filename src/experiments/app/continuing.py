"""Which job is the same as one before, and whether that one is complete.

A job is known by its resolved configuration, without what cannot change its result: where it is
tracked, `rerun`, and what a sweep finds out about its runs at its end. A complete one stands for
the same job again as long as its data set and its weights are the same, too; weights that are no
longer here are taken to be.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from experiments.app import trust
from experiments.environment.project import at_hand
from experiments.errors import UserError
from experiments.schema import Rerun
from experiments.store import runs

if TYPE_CHECKING:
    from experiments.records import Dataset

UNDECISIVE = ("hydra", "tracking", "rerun", "fidelity")
"""Blocks and settings that cannot change a result."""


def identity(config: DictConfig) -> str:
    """Return a digest of all settings that decide a job's result.

    Raises:
        OmegaConfBaseException: a setting cannot be resolved.
    """
    plain = OmegaConf.to_container(
        OmegaConf.masked_copy(config, [key for key in map(str, config) if key not in UNDECISIVE]),
        resolve=True,
        enum_to_str=True,
    )
    return _digest(plain)


def request(config: DictConfig) -> str:
    """Return a digest of what a command asks for, as far as it decides results.

    Of a single run that is its job. Of a sweep it is what was typed, with how it is swept: the
    jobs are not known yet.
    """
    hydra = config.hydra
    if not is_sweep(config):
        return _digest(["run", identity(config)])
    typed = [each for each in hydra.overrides.task if not _names(each, *UNDECISIVE)]
    sweeper = OmegaConf.to_container(hydra.sweeper, resolve=True)
    return _digest(["sweep", hydra.job.config_name, typed, sweeper])


def is_sweep(config: DictConfig) -> bool:
    """Tell whether a configuration is that of a sweep, or of a job of one."""
    mode = config.hydra.mode
    return mode is not None and mode.name == "MULTIRUN"


class Checker:
    """Compares complete jobs with what is asked for now; data sets are loaded once."""

    def __init__(self) -> None:
        self._datasets: dict[str, Dataset] = {}

    def is_complete(self, folder: Path, config: DictConfig) -> bool:
        """Tell whether a folder holds the result of a job, with a note for MLflow if it should.

        Raises:
            UserError, OmegaConfBaseException, HydraException: the configuration is wrong, or a
                file of the folder.
        """
        from experiments.tracking import notes

        if config.rerun is Rerun.all or not has_result(folder):
            return False
        if config.tracking.enabled and notes.read(folder) is None:
            return False
        return self.is_same(folder, config)

    def complete_jobs(self, sweep: Path, config_name: str) -> int | None:
        """Return how many jobs of a sweep are complete; None if one is not the same any more.

        Raises:
            UserError, OmegaConfBaseException, HydraException: as above.
        """
        count = 0
        for folder in sorted(path.parent for path in sweep.glob(f"*/{runs.METRICS}")):
            if not has_result(folder):
                continue
            overrides = OmegaConf.load(folder / runs.HYDRA / "overrides.yaml")
            if not self.is_same(folder, compose(config_name, [str(each) for each in overrides])):
                return None
            count += 1
        return count

    def is_same(self, folder: Path, config: DictConfig) -> bool:
        """Tell whether a folder's result is that of a configuration, its data and its weights."""
        manifest = runs.read_manifest(folder)
        if manifest.get("identity") != identity(config):
            return False
        dataset, weights = manifest.get("dataset") or {}, manifest.get("weights") or {}
        return dataset.get("sha256") == self._dataset(config).digest and self._has_same_weights(
            config, weights.get("sha256", "")
        )

    def _dataset(self, config: DictConfig) -> Dataset:
        key = _digest(OmegaConf.to_container(config.dataset, resolve=True))
        if key not in self._datasets:
            self._datasets[key] = trust.made(config.dataset, "dataset")
        return self._datasets[key]

    def _has_same_weights(self, config: DictConfig, digest: str) -> bool:
        from experiments.weights import Here, decide, foresee

        if not trust.needs_weights(config.backend):
            return True
        # Not the whole configuration: Hydra's part names the folder that is being decided on.
        model: Any = OmegaConf.to_object(config.model)
        level: Any = OmegaConf.to_object(config.quantization)
        asked = (model, level, at_hand(config.models))
        try:
            decision = decide(*asked)
        except UserError:
            return True
        return not isinstance(decision, Here) or foresee(decision, *asked).sha256 == digest


def has_result(folder: Path) -> bool:
    """Tell whether a job's folder has a result that counts."""
    return runs.is_finished(folder) and not (folder / runs.FAILURE).exists()


def _names(override: str, *keys: str) -> bool:
    """Tell whether an override is about one of these settings, or something in these blocks."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0] in keys


def _digest(plain: Any) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
