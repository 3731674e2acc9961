"""The jobs of a sweep, as lists of overrides."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.errors import ConfigError


def combinations(
    parser: OverridesParser, params: Mapping[str, Any], overrides: Sequence[str]
) -> list[list[str]]:
    """Return the overrides of each job of a sweep, as Hydra's basic sweeper combines them.

    Args:
        parser: of overrides.
        params: what the configuration sweeps over.
        overrides: of the command line, which come before those.

    Raises:
        ConfigError: a sweep that is no list of values.
    """
    choices: dict[str, list[str]] = {}
    for override in parser.parse_overrides([*(f"{k}={v}" for k, v in params.items()), *overrides]):
        key = override.get_key_element()
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise ConfigError(
                    f"{override.input_line} is no list of values", f"Write {key}=VALUE,VALUE."
                )
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [override.input_line or ""]
    return [list(each) for each in itertools.product(*choices.values())]


def split(override: str) -> tuple[str, str]:
    """Return the key and the value of an override."""
    key, _, value = override.partition("=")
    return key.lstrip("+"), value


def swept(jobs: Sequence[Sequence[str]]) -> list[int]:
    """Return the places of the overrides in which jobs differ."""
    return [index for index, values in enumerate(zip(*jobs, strict=True)) if len(set(values)) > 1]
