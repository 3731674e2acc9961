"""From Hydra's configuration to levels of a model held against a reference.

`fidelity=true` does it at the end of a sweep, for all runs that differ in their level alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig

from experiments import experiment
from experiments.app.parts import parts
from experiments.errors import ConfigError
from experiments.experiment import Plan, fidelity
from experiments.report import find_runs
from experiments.store import runs
from experiments.tracking.opening import address

LEVEL = "quantization="


def planned(overrides: Sequence[str], folder: Path, config_name: str = "config") -> Plan:
    """Return the run of a level that would write the answers.

    Args:
        overrides: of the run, its level among them.
        folder: of the run.
        config_name: of the main configuration.

    Raises:
        UserError: it runs no weights of this disk, or a mistake in the configuration.
    """
    config = compose(config_name, [*overrides, "fidelity=true"])
    question = [each for each in overrides if not each.startswith(LEVEL)]
    return experiment.plan(**parts(config), folder=folder, overrides=question)


def refuse(jobs: Sequence[Sequence[str]]) -> None:
    """Refuse jobs, as lists of overrides, of which no two differ in their level alone.

    Raises:
        ConfigError: there is nothing to compare.
    """
    levels: dict[tuple[str, ...], set[str]] = {}
    for job in jobs:
        question = tuple(each for each in job if not each.startswith(LEVEL))
        levels.setdefault(question, set()).update(set(job) - set(question))
    if not any(len(each) > 1 for each in levels.values()):
        raise _no_levels()


def _no_levels() -> ConfigError:
    return ConfigError(
        "fidelity=true compares levels of a model, and no two runs differ in that alone",
        "Name several: python run.py -m fidelity=true quantization=q8_0,q4_k_m",
    )


def compare_levels(sweep: Path, config: DictConfig) -> None:
    """Compare the levels of a sweep's runs, and add what was found to their numbers.

    The reference is the highest level of those that differ in nothing else; its folder keeps
    what was found. Levels that were compared already are left as they are.

    Args:
        sweep: folder of a sweep whose jobs have ended.
        config: of the sweep.

    Raises:
        UserError: there is no other level, or they cannot be compared.
    """
    questions: dict[tuple[str, ...], dict[str, Plan]] = {}
    for folder in find_runs([sweep])[0]:
        overrides = [str(each) for each in runs.read_manifest(folder)["overrides"]]
        asked = [each for each in overrides if not each.lstrip("+").startswith("race.")]
        plan = planned(asked, folder, config.hydra.job.config_name)
        assert plan.weights is not None
        questions.setdefault(tuple(plan.overrides), {})[plan.weights.sha256] = plan
    ladders = [[*plans.values()] for plans in questions.values() if len(plans) > 1]
    if not ladders:
        raise _no_levels()
    for plans in ladders:
        plans.sort(key=_bits, reverse=True)
        # Levels that were compared since their runs were made have these numbers.
        known = [runs.read_report(plan.folder).metrics for plan in plans[1:]]
        if not all("fidelity/divergence" in metrics for metrics in known):
            result = fidelity.measure(plans, plans[0].folder)
            for plan, level in zip(plans, result.levels, strict=True):
                runs.add_metrics(plan.folder, fidelity.metrics(result, level))
            if config.tracking.enabled:
                for plan in plans:
                    experiment.catch_up_again(plan.folder, address(config.tracking.uri))


def _bits(plan: Plan) -> float:
    return plan.weights.bits_per_weight if plan.weights else 0.0
