"""What one prompt of a run looked like to the model: kept with each run, for a person to check.

A wrong template, a doubled begin token or a missing stop token costs a model many points and
raises no error, so each run says what it used; and, in `file`, what the weights tell of where
they come from (see `facts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.records import Request, Weights
from experiments.weights.facts import digest


def audit(request: Request, weights: Weights | None, backend: Mapping[str, Any]) -> dict[str, Any]:
    """Return one rendered prompt and what surrounds it, as plain data.

    Args:
        request: the first of a run, say.
        weights: None if a server has the model and dresses the messages itself.
        backend: what the backend says of itself (`describe`).
    """
    is_chat = bool(request.prompt.messages)
    said: dict[str, Any] = {
        "problem": request.problem_id,
        "kind": "chat" if is_chat else "completion",
        "prompt": request.text,
        "template": {"source": "none" if not is_chat else "server"},
        "stop_strings": list(backend.get("stop", ())),
    }
    if weights is None:
        return said
    begin = weights.bos_token
    written = _leading(request.text, begin) if is_chat else 0
    told = dict(weights.facts)
    adds, of_file = told.pop("adds_begin_token", None), told.pop("template_sha256", None)
    if is_chat and weights.chat_template:
        sha256 = digest(weights.chat_template)
        said["template"] = {
            "source": weights.template_source,
            "sha256": sha256,
            "same_as_in_gguf": sha256 == of_file,
        }
        if "strftime_now" in weights.chat_template:
            said["template"]["today"] = backend.get("today", "")
        said["thinking"] = backend.get("thinking", {})
    said["begin_token"] = {
        "text": begin,
        "in_prompt": written,
        "added_by_tokenizer": adds,  # None: the file does not say, its tokenizer's default holds
        # The engine adds one only where the text has none.
        "read_by_model": max(written, 1) if adds else written if adds is False else None,
    }
    said["stop_tokens"] = told.pop("stop_tokens", {})
    return said | {"file": told}


def _leading(text: str, token: str) -> int:
    """Return how often a text begins with a token."""
    count = 0
    while token and text.startswith(token, count * len(token)):
        count += 1
    return count
