"""The parts of a run, made from its configuration."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.app import trust
from experiments.app.explain import refuse_unknown


def parts(config: DictConfig) -> dict[str, Any]:
    """Return the arguments of `experiment.plan` that a configuration decides.

    Raises:
        ConfigError: a key that nothing reads, or code that is not trusted.
        OmegaConfBaseException: a value that is missing or wrong.
    """
    refuse_unknown(config, trust.arguments)
    return {
        "settings": OmegaConf.to_object(config),
        "make_dataset": lambda: trust.made(config.dataset, "dataset"),
        "make_backend": lambda **given: trust.made(config.backend, "backend", **given),
        "needs_weights": trust.needs_weights(config.backend),
    }
