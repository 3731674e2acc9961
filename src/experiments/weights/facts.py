"""What a GGUF tells of where it comes from: kept with each run, in `audit.json`.

Two files of one level may differ: by an importance matrix, by the recipe of their time, by the
pre-tokenizer that was or was not written down. Where a file does not tell, the answer is None.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from experiments.store.files import read_object
from experiments.weights.header import Header
from experiments.weights.levels import TENSOR_TYPES, UNQUANTIZED

_ENDS = ("eos", "eot", "eom")
_MATRIX = "quantize.imatrix."
# `general.quantized_by`, and what several uploaders write under a name of their own.
_ORIGIN = re.compile(r".+\.(quantized_(by|at|on)|quantize_version|convert\w*|date|(repo_)?url)")


def facts(found: Header) -> dict[str, Any]:
    """Return what a file says of itself, as plain data."""
    ends = {name: found.token(f"tokenizer.ggml.{name}_token_id") for name in _ENDS}
    origin = _fetched_from(found)
    says = {key: found.text(key) for key in found.metadata if _ORIGIN.fullmatch(key)}
    named = [text for key, text in says.items() if key.endswith(".quantized_by")]
    whole = max(1, found.parameters)
    dates = [text for key, text in says.items() if key.endswith((".quantized_at", ".date"))]
    return {
        "template_sha256": digest(found.text("tokenizer.chat_template")),
        "adds_begin_token": found.metadata.get("tokenizer.ggml.add_bos_token"),
        "stop_tokens": {name: text for name, text in ends.items() if text},
        "pre_tokenizer": found.text("tokenizer.ggml.pre") or None,
        "importance_matrix": importance_matrix(found),
        "quantizer": "this project" if found.made_from else next(iter(named), None),
        "uploader": origin.get("repository", "").partition("/")[0] or None,
        "repository": origin.get("repository"),
        "commit": origin.get("commit"),
        "date": next(iter(dates), None),
        "recipe": "of before January 2024" if has_old_recipe(found) else None,
        "tensor_types": {name: round(n / whole, 4) for name, n in found.types.most_common()},
        "metadata": says | {key: found.metadata[key] for key in found.metadata if _MATRIX in key},
    }


def importance_matrix(found: Header) -> bool | None:
    """Return whether a file was quantized with an importance matrix; None: it does not tell.

    llama.cpp's quantizer writes matrices down since April 2024, some days before files began to
    have a pre-tokenizer. What is not quantized has nothing to tell.
    """
    if any(key.startswith(_MATRIX) for key in found.metadata):
        return True
    if found.level in UNQUANTIZED or not (found.made_from or found.text("tokenizer.ggml.pre")):
        return None
    return False


def has_old_recipe(found: Header) -> bool:
    """Return whether a file is a Q2_K of before January 2024, when more was left in Q3_K."""
    up = re.compile(r"blk\.\d+\.ffn_(up|gate)\.weight")
    return found.level == "q2_k" and any(
        TENSOR_TYPES.get(tensor.kind, ("",))[0] == "q3_k" and up.fullmatch(tensor.name)
        for tensor in found.tensors
    )


def lacks_pre_tokenizer(found: Header) -> bool:
    """Return whether llama.cpp has to guess how text is cut into words before it is tokenized."""
    model = found.text("tokenizer.ggml.model")
    return model == "gpt2" and not found.text("tokenizer.ggml.pre")


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _fetched_from(found: Header) -> dict[str, str]:
    """Return the note that fetching left beside a file, or beside that which it was made from.

    Empty if it came otherwise.
    """
    path, source = found.path, found.made_from
    for beside in sorted(path.parent.glob(".*.origin.json")):
        note = read_object(beside)
        its = beside.name == f".{path.name}.origin.json"
        if note.get("sha256") == source if source else its:
            return note
    return {}
