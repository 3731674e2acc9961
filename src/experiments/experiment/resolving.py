"""What a run uses where its question leaves it to the model."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from experiments.errors import ConfigError, did_you_mean
from experiments.schema import ModelConfig, Sampling, SamplingConfig, check


def sampling(asked: SamplingConfig, model: ModelConfig) -> Sampling:
    """Return how tokens are chosen: as the question says, else the makers, else the default.

    Raises:
        ConfigError: the model's row asks for what there is not.
    """
    question = {name: value for name, value in asdict(asked).items() if value is not None}
    return Sampling(**_of_makers(model.sampling, "model.sampling") | question)


def _of_makers(settings: dict[str, Any], where: str) -> dict[str, Any]:
    known = [each.name for each in fields(SamplingConfig)]
    for name in settings:
        if name not in known:
            raise ConfigError(f"There is no setting '{where}.{name}'", did_you_mean(name, known))
    check(SamplingConfig(**settings), f"{where}.")
    return settings
