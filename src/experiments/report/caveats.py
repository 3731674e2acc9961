"""What makes runs of one data set less comparable than their table looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from experiments.report.collect import Group, Run


def caveats(group: Group) -> list[str]:
    """Return a sentence for each thing in which runs differ beside their settings."""
    return list(_caveats(group))


def _caveats(group: Group) -> Iterator[str]:
    if len(group.digests) > 1:
        yield "These runs were judged on different versions of the data set: their digests differ."
    with_matrix = _levels(group, lambda weights: weights.get("importance_matrix") is True)
    without = _levels(group, lambda weights: weights.get("importance_matrix") is False)
    if with_matrix and without:
        yield (
            f"Some files were quantized with an importance matrix ({with_matrix}) and some without "
            f"({without}): that is a difference beside the level."
        )
    old = _levels(group, lambda weights: weights.get("recipe") is not None)
    new = _levels(group, lambda w: w["quantization"] == "q2_k" and w.get("recipe") is None)
    if old and new:
        yield (
            f"Q2_K was another recipe before January 2024, with more weights in 3 bits: {old} "
            f"has the old one and {new} the new."
        )


def _levels(group: Group, chosen: Callable[[dict[str, Any]], bool]) -> str:
    """Return the runs whose weights are of some kind, by model and level."""
    found = (run for run in group.runs if (weights := _weights(run)) and chosen(weights))
    names = (f"{r.labels.get('model', '')} {r.labels.get('quantization', '')}" for r in found)
    return ", ".join(dict.fromkeys(name.strip() for name in names))


def _weights(run: Run) -> dict[str, Any]:
    weights = run.manifest.get("weights")
    if not isinstance(weights, dict):
        return {}
    return {**weights, "quantization": run.labels.get("quantization", "")}
