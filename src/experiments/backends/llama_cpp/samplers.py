"""How tokens are chosen: a chain of llama.cpp's own samplers for each sequence.

Runs in the worker process only.
"""

from __future__ import annotations

from typing import Any

import llama_cpp.llama_cpp as llama

from experiments.schema import Sampling

PENALTY_WINDOW = 64
"""Last tokens that the repeat penalty looks at, as in llama-cpp-python."""


def is_argmax(sampling: Sampling) -> bool:
    """Tell whether the token with the largest logit is taken as it is."""
    return sampling.is_greedy and sampling.repeat_penalty == 1


def chain(sampling: Sampling, seed: int, vocabulary: int) -> Any:
    """Return a chain of llama.cpp's samplers, in llama-cpp-python's order; the caller frees it.

    Args:
        sampling: what it does.
        seed: of its own random numbers.
        vocabulary: number of tokens.
    """
    parameters = llama.llama_sampler_chain_default_params()
    parameters.no_perf = True
    made = llama.llama_sampler_chain_init(parameters)

    def add(part: Any) -> None:
        llama.llama_sampler_chain_add(made, part)

    if sampling.repeat_penalty != 1:
        add(
            llama.llama_sampler_init_penalties(
                vocabulary, PENALTY_WINDOW, sampling.repeat_penalty, 0.0, 0.0
            )
        )
    if sampling.is_greedy:
        add(llama.llama_sampler_init_greedy())
        return made
    if sampling.top_k > 0:
        add(llama.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1:
        add(llama.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0:
        add(llama.llama_sampler_init_min_p(sampling.min_p, 1))
    add(llama.llama_sampler_init_temp(sampling.temperature))
    add(llama.llama_sampler_init_dist(seed))
    return made
