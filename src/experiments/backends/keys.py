"""Seeds and keys of generations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from experiments.records import Prompt, Request, Sampling


def seed_of(run_seed: int, problem_id: str, sample: int) -> int:
    """Return the seed of one generation: 32 bits that depend on nothing else."""
    text = json.dumps([run_seed, problem_id, sample])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def request(
    prompt: Prompt, text: str, sample: int, sampling: Sampling, settings: Mapping[str, Any]
) -> Request:
    """Return the request for one sample of a prompt.

    The key is a SHA-256 over the rendered text, the settings that decide the answer and,
    unless sampling is greedy, how tokens are chosen. The problem enters through its text
    and its seed only, so data sets with the same prompts share generations.

    Args:
        prompt: what was rendered.
        text: as the model reads it.
        sample: number of the sample, from 0.
        sampling: how tokens are chosen.
        settings: of the backend, as far as they decide the answer; plain data.
    """
    seed = seed_of(sampling.seed, prompt.problem_id, sample)
    decides = {
        "text": text,
        "kind": "chat" if prompt.messages else "completion",
        "entry_point": prompt.entry_point,  # says where the answer is complete
        "sampling": _deciding(sampling, seed),
        "settings": settings,
    }
    content = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    key = hashlib.sha256(content.encode()).hexdigest()
    return Request(key, prompt.problem_id, sample, text, seed, prompt)


def is_greedy(sampling: Sampling) -> bool:
    """Tell whether the most likely token is always taken, so that no seed matters."""
    return sampling.temperature <= 0


def _deciding(sampling: Sampling, seed: int) -> dict[str, float]:
    always = {"max_tokens": sampling.max_tokens, "repeat_penalty": sampling.repeat_penalty}
    if is_greedy(sampling):
        return always
    return always | {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "seed": seed,
    }
