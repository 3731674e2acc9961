"""What a run uses where its question leaves it to the model: thinking and sampling."""

from __future__ import annotations

import logging
from dataclasses import asdict, fields
from typing import Any

from experiments.errors import ConfigError, did_you_mean
from experiments.records import Thinking
from experiments.schema import Config, Sampling, SamplingConfig, check

log = logging.getLogger(__name__)

THINKING_TOKENS = 16_384
"""Tokens of a thought and its answer, where neither the question nor the makers say how many."""

EFFORT = "reasoning_effort"
"""The template variable that takes a level by its name; the others take true and false."""


def thinking(settings: Config) -> Thinking:
    """Return how the model is asked to think.

    Raises:
        ConfigError: the model cannot be asked for that.
    """
    model, row = settings.model, settings.model.thinking
    asked = settings.thinking.value if settings.thinking is not None else ""
    arguments = dict(model.template_arguments)
    if asked and asked not in row.modes:
        can = f"It takes thinking={','.join(row.modes)}." if row.modes else "Leave thinking out."
        raise ConfigError(
            f"The model '{model.name}' cannot be asked for thinking={asked}",
            f"{can} What it can do stands in its file in conf/model/: model.thinking.modes, with "
            "model.thinking.argument or model.thinking.switch.",
        )
    mode = asked or row.default
    if mode in row.modes and row.argument:  # the default as well: so that it is what happens
        is_switch = mode in ("on", "off") and row.argument != EFFORT
        arguments[row.argument] = mode == "on" if is_switch else mode
    return Thinking(
        mode=mode,
        arguments=arguments,
        switch=row.switch.get(asked, ""),
        open=row.open,
        close=row.close,
        budget=settings.thinking_budget,
    )


def sampling(settings: Config) -> Sampling:
    """Return how tokens are chosen: as the question says, else the makers, else the default.

    What the makers ask for is told, and so is greedy decoding of a model that thinks.

    Raises:
        ConfigError: the model's file asks for what there is not.
    """
    model = settings.model
    makers = _of_makers(model.sampling, "model.sampling")
    is_thinking = thinks(settings)
    if is_thinking:
        thinking = _of_makers(model.thinking.sampling, "model.thinking.sampling")
        makers = {"max_tokens": THINKING_TOKENS} | makers | thinking
    question = {name: n for name, n in asdict(settings.sampling).items() if n is not None}
    resolved = Sampling(**makers | question)
    used = {name: value for name, value in makers.items() if name not in question}
    if used:
        words = ", ".join(f"{name} {value}" for name, value in used.items())
        log.info("Sampling as the file of %s in conf/model/ has it: %s.", model.name, words)
    if is_thinking and resolved.is_greedy and "temperature" not in model.api.omit:
        log.warning(
            "%s thinks before it answers, and greedy decoding makes many such models repeat "
            "themselves without end: set sampling.temperature (0.6 is usual).",
            model.name,
        )
    return resolved


def thinks(settings: Config) -> bool:
    """Tell whether the model is known to think in this run."""
    mode = settings.thinking.value if settings.thinking is not None else ""
    return (mode or settings.model.thinking.default) not in ("", "off")


def _of_makers(settings: dict[str, Any], where: str) -> dict[str, Any]:
    known = [each.name for each in fields(SamplingConfig)]
    for name in settings:
        if name not in known:
            raise ConfigError(f"There is no setting '{where}.{name}'", did_you_mean(name, known))
    check(SamplingConfig(**settings), f"{where}.")
    return settings
