"""The parts of a run, made from its configuration: the only place that instantiates."""

from __future__ import annotations

import inspect
from typing import Any

from hydra.utils import get_class, get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.app.explain import refuse_unknown


def parts(config: DictConfig) -> dict[str, Any]:
    """Return the arguments of `experiment.plan` that a configuration decides.

    Raises:
        ConfigError: a key that nothing reads.
        OmegaConfBaseException: a value that is missing or wrong.
    """
    refuse_unknown(config, lambda target: inspect.signature(get_object(target)).parameters)
    return {
        "settings": OmegaConf.to_object(config),
        "make_dataset": lambda: instantiate(config.dataset),
        "make_backend": lambda **given: instantiate(config.backend, **given),
        "needs_weights": get_class(config.backend._target_).needs_weights,  # type: ignore[attr-defined]
    }
