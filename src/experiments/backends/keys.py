"""Seeds and keys of generations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.records import Prompt, Request
from experiments.schema import Sampling


def seed_of(run_seed: int, problem_id: str, sample: int) -> int:
    """Return the seed of one generation: 32 bits that depend on nothing else."""
    text = json.dumps([run_seed, problem_id, sample])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def requests_for(
    prompts: Iterable[tuple[Prompt, str]],
    sampling: Sampling,
    run_seed: int,
    settings: Mapping[str, Any],
) -> list[Request]:
    """Return one request for each sample of each prompt.

    The key is a SHA-256 over the rendered text, the settings that decide the answer and,
    unless sampling is greedy, how tokens are chosen. The problem enters through its text
    and its seed only, so data sets with the same prompts share generations.

    Args:
        prompts: each with its text as the model reads it.
        sampling: how tokens are chosen.
        run_seed: of the run.
        settings: of the backend, as far as they decide the answer; plain data.
    """
    made = []
    for prompt, text in prompts:
        for sample in range(sampling.samples):
            seed = seed_of(run_seed, prompt.problem_id, sample)
            decides = {
                "text": text,
                "kind": "chat" if prompt.messages else "completion",
                "entry_point": prompt.entry_point,  # says where the answer is complete
                "sampling": _deciding(sampling, seed),
                "settings": settings,
            }
            content = json.dumps(decides, sort_keys=True, separators=(",", ":"))
            key = hashlib.sha256(content.encode()).hexdigest()
            made.append(Request(key, prompt.problem_id, sample, text, seed, prompt))
    return made


def _deciding(sampling: Sampling, seed: int) -> dict[str, float]:
    always = {"max_tokens": sampling.max_tokens, "repeat_penalty": sampling.repeat_penalty}
    if sampling.is_greedy:
        return always
    return always | {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "seed": seed,
    }
