"""From Hydra's configuration to levels of a model held against a reference.

`fidelity=true` does it at the end of a sweep, for all runs that differ in their level alone.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from pathlib import Path

from hydra import compose
from hydra.utils import get_class, get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from experiments import experiment
from experiments.app.explain import refuse_unknown
from experiments.errors import ConfigError
from experiments.experiment import Plan, fidelity
from experiments.report import find_runs
from experiments.schema import Config
from experiments.store import runs

log = logging.getLogger(__name__)


def composed(overrides: Sequence[str], config_name: str = "config") -> DictConfig:
    """Return the configuration of a run.

    Raises:
        ConfigError: it runs no weights of this disk.
    """
    config = compose(config_name, list(overrides))
    refuse_unknown(config, lambda target: inspect.signature(get_object(target)).parameters)
    if not get_class(config.backend._target_).needs_weights:  # type: ignore[attr-defined]
        raise ConfigError(
            "Only weights of this disk can be compared: a server tells no distributions",
            "Leave backend out, or set backend=llama_cpp.",
        )
    return config


def planned(config: DictConfig, overrides: Sequence[str], folder: Path) -> Plan:
    """Return the run of a level that would write the answers."""
    settings: Config = OmegaConf.to_object(config)  # type: ignore[assignment]
    return experiment.plan(
        settings,
        make_dataset=lambda: instantiate(config.dataset),
        make_backend=lambda **given: instantiate(config.backend, **given),
        needs_weights=True,
        folder=folder,
        overrides=overrides,
    )


def compare_levels(sweep: Path, config_name: str) -> None:
    """Compare the levels of a sweep's runs, and add what was found to their numbers.

    The reference is the highest level of those that differ in nothing else; its folder keeps
    what was found.

    Args:
        sweep: folder of a sweep whose jobs have ended.
        config_name: of the main configuration.

    Raises:
        UserError: there is no other level, or they cannot be compared.
    """
    questions: dict[tuple[str, ...], list[Plan]] = {}
    for folder in find_runs([sweep])[0]:
        overrides = [str(each) for each in runs.read_manifest(folder)["overrides"]]
        asked = [each for each in overrides if not each.lstrip("+").startswith("race.")]
        question = tuple(each for each in asked if not each.startswith("quantization="))
        plan = planned(composed(asked, config_name), question, folder)
        if plan.settings.fidelity:
            questions.setdefault(question, []).append(plan)
    ladders = [plans for plans in questions.values() if len(plans) > 1]
    if not ladders:
        raise ConfigError(
            "fidelity=true compares levels of a model, and no two runs differ in that alone",
            "Name several: python run.py -m fidelity=true quantization=q8_0,q4_k_m",
        )
    for plans in ladders:
        plans.sort(key=_bits, reverse=True)
        reference, *_ = (plan.folder for plan in plans)
        result = fidelity.measure(plans, reference)
        for plan, level in zip(plans, result.levels, strict=True):
            numbers = fidelity.metrics(result, level)
            runs.add_metrics(plan.folder, numbers)
            files = [plan.folder / runs.METRICS]
            files += [reference / runs.FIDELITY] if plan.folder == reference else []
            experiment.add_to_run(sweep, plan.folder, numbers, files)


def _bits(plan: Plan) -> float:
    return plan.weights.bits_per_weight if plan.weights else 0.0
