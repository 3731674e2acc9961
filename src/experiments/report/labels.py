"""What tells runs apart: the settings in which they differ, as far as they matter, by name.

A run's manifest has the four choices and whatever was said on its command line. Where one run
sets what another leaves at its default, the default is told by its value. Settings that are
beside the question (where files are, where runs are logged) tell no run from another, and
neither do seeds: they make samples of one question (see `pooling`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.records import CHOICES, run_name

_BESIDE = frozenset(
    {
        *("models", "store", "cache", "experiment", "dataset.folder", "sandbox.workers", "seed"),
        "fidelity",
    }
)
"""Settings that do not decide what a model writes, or that only name other settings."""

_BLOCKS_BESIDE = ("tracking", "hydra")

_UNSET = {"limit": "all"}
"""Names of settings that are not set; others are `null`."""


def effective(
    labels: Mapping[str, str],
    names: Sequence[str],
    config: Mapping[str, Any],
    choices: Callable[[], Mapping[str, str]],
) -> dict[str, str]:
    """Return a run's value of each label, defaults included.

    Args:
        labels: of its manifest.
        names: of the labels that any run has.
        config: its settings under dotted names.
        choices: gives its choice in each group of `conf/`, by Hydra's notes.
    """
    found = {}
    for name in names:
        if name in CHOICES:
            found[name] = labels.get(name, "")
        elif name in config:
            found[name] = _written(name, config[name])
        else:
            found[name] = choices().get(name, labels.get(name, ""))
    return found


def relevant(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of labels that may matter, the four choices first."""
    names = dict.fromkeys([*CHOICES, *(name for each in labels for name in each)])
    return [name for name in names if name in CHOICES or not is_beside(name)]


def differing(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the labels in which runs differ, the four choices first."""
    names = relevant(labels)
    return [name for name in names if len({each.get(name) for each in labels}) > 1]


def names(labels: Sequence[Mapping[str, str]], shown: Sequence[str]) -> list[str]:
    """Return a short name for each run: what tells it from the others.

    Args:
        labels: of the runs.
        shown: the labels in which they differ.
    """
    counts: dict[str, int] = {}
    found = []
    for each in labels:
        name = context(each, shown) or run_name(each)
        counts[name] = counts.get(name, 0) + 1
        found.append((name, counts[name]))
    return [f"{name} #{number}" if counts[name] > 1 else name for name, number in found]


def context(run: Mapping[str, str], shown: Sequence[str], *without: str) -> str:
    """Return what a run has in common with those that differ from it in some labels alone.

    Args:
        run: its labels.
        shown: in which runs differ.
        without: the labels that are not looked at.
    """
    return " · ".join(run[each] for each in shown if each not in without and run.get(each))


def named(names: Sequence[str], most: int = 3) -> str:
    """Return names as they stand in a sentence; of many, the first and how many more."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} others"
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last


def is_beside(name: str) -> bool:
    """Return whether a setting is beside the question, so that it tells no run from another."""
    return name in _BESIDE or name.partition(".")[0].partition("/")[0] in _BLOCKS_BESIDE


def _written(name: str, value: Any) -> str:
    """Return a setting as it is typed."""
    if value is None:
        return _UNSET.get(name, "null")
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)
