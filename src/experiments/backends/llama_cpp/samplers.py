"""How tokens are chosen: a chain of llama.cpp's own samplers for each sequence.

Runs in the worker process only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as llama

PENALTY_WINDOW = 64
"""Last tokens that the repeat penalty looks at, as in llama-cpp-python."""


@dataclass(frozen=True)
class Sampler:
    """How tokens are chosen; a temperature of 0 is greedy."""

    temperature: float = 0.0
    max_tokens: int = 1024
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0

    @property
    def is_argmax(self) -> bool:
        """Whether the token with the largest logit is taken as it is."""
        return self.temperature <= 0 and self.repeat_penalty == 1


def chain(sampler: Sampler, seed: int, vocabulary: int) -> Any:
    """Return a chain of llama.cpp's samplers, in llama-cpp-python's order; the caller frees it.

    Args:
        sampler: what it does.
        seed: of its own random numbers.
        vocabulary: number of tokens.
    """
    parameters = llama.llama_sampler_chain_default_params()
    parameters.no_perf = True
    made = llama.llama_sampler_chain_init(parameters)

    def add(part: Any) -> None:
        llama.llama_sampler_chain_add(made, part)

    if sampler.repeat_penalty != 1:
        add(
            llama.llama_sampler_init_penalties(
                vocabulary, PENALTY_WINDOW, sampler.repeat_penalty, 0.0, 0.0
            )
        )
    if sampler.temperature <= 0:
        add(llama.llama_sampler_init_greedy())
        return made
    if sampler.top_k > 0:
        add(llama.llama_sampler_init_top_k(sampler.top_k))
    if sampler.top_p < 1:
        add(llama.llama_sampler_init_top_p(sampler.top_p, 1))
    if sampler.min_p > 0:
        add(llama.llama_sampler_init_min_p(sampler.min_p, 1))
    add(llama.llama_sampler_init_temp(sampler.temperature))
    add(llama.llama_sampler_init_dist(seed))
    return made
