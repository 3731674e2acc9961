"""The weights that a token passes through, by the type of their tensors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from experiments.schema import BITS_PER_WEIGHT
from experiments.weights.deciding import Decision, Here, Make, bits, level_of
from experiments.weights.header import Header
from experiments.weights.levels import TENSOR_TYPES

if TYPE_CHECKING:
    from experiments.schema import ModelConfig, QuantizationConfig

NUMBERS = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
"""Types of tensors, by name."""


RARE = 0.02
"""Types with a smaller share of the weights than this count as the type of most."""


@dataclass(frozen=True)
class Workload:
    """The weights that a token passes through.

    Attributes:
        dense: weights that every token passes through, by type.
        experts: weights of all experts, by type.
        used: share of the experts that a token passes through.
    """

    dense: Mapping[str, float]
    experts: Mapping[str, float] = field(default_factory=dict)
    used: float = 1.0

    @property
    def types(self) -> tuple[str, ...]:
        """The types, each once."""
        return tuple(dict.fromkeys([*self.dense, *self.experts]))


def workload(decision: Decision, model: ModelConfig, quantization: QuantizationConfig) -> Workload:
    """Return the workload of weights that may not be here yet.

    Those that are not here are taken to be of the level's own type throughout, and a little more
    of them, as some stay in a finer one. Where not even a source is here, the model's file says
    how many there are, and how many of them are active.
    """
    if isinstance(decision, Here):
        return _passed(decision.header)
    kind = main_type(level_of(quantization))
    _, block, size = TENSOR_TYPES[NUMBERS[kind]]
    more = max(1.0, bits(quantization) / (8 * size / block))
    source = decision.source if isinstance(decision, Make) else None
    if isinstance(source, Here):
        found = _passed(source.header)
        dense, experts = sum(found.dense.values()), sum(found.experts.values())
        return Workload({kind: more * dense}, {kind: more * experts}, found.used)
    count = (model.parameters_billion or 0.0) * 1e9
    active = (model.active_parameters_billion or 0.0) * 1e9
    if 0 < active < count:
        return Workload({}, {kind: more * count}, active / count)
    return Workload({kind: more * count})


def _passed(found: Header) -> Workload:
    """Return the workload of a file.

    Of the embedding, a token reads one row, so it counts only where it is the output, too.
    """
    dense, experts = Counter[str](), Counter[str]()
    is_tied = all(tensor.name != "output.weight" for tensor in found.tensors)
    for tensor in found.tensors:
        if len(tensor.shape) < 2 or (tensor.name == "token_embd.weight" and not is_tied):
            continue
        kind = TENSOR_TYPES.get(tensor.kind, ("f16",))[0]
        (experts if "_exps." in tensor.name else dense)[kind] += math.prod(tensor.shape)
    of = found.of_architecture("expert_count") or 1
    used = found.of_architecture("expert_used_count") or of
    return Workload(_without_rare(dense), _without_rare(experts), min(1.0, used / of))


def _without_rare(counts: Counter[str]) -> dict[str, float]:
    whole = counts.total()
    kept: dict[str, float] = {kind: n for kind, n in counts.items() if n >= RARE * whole}
    for kind, _ in counts.most_common(1):
        kept[kind] += whole - sum(kept.values())
    return kept


def main_type(level: str) -> str:
    """Return the type of most tensors of a level; where names do not tell, the next in bits."""
    named = [name for name in NUMBERS if level == name or level.startswith(f"{name}_")]
    if named:
        return max(named, key=len)
    wanted = BITS_PER_WEIGHT[level]
    kinds = [kind for kind in TENSOR_TYPES.values() if kind[0].startswith(level[:2])]
    return min(kinds, key=lambda kind: abs(8 * kind[2] / kind[1] - wanted))[0]
