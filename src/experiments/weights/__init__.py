"""A model and a quantization → a GGUF file on this disk.

    decide(model, quantization, folder) -> Here | Fetch | Make     what has to happen, as data
    foresee(decision, model, quantization, folder) -> Weights      what there will be then
    locate(model, quantization, folder) -> Weights                 the same, and then it is done

Where a file comes from, in this order:

1. `model.file`, if it is set: the file decides. An unquantized one (F16, BF16, F32) is
   quantized to what was asked for. One that is already quantized is used as it is, and
   the result is labelled with what the file holds, not with what was asked for.
2. `models/<model>/<name>` or `models/<name>`, put there by hand or made before; the name is
   that in the configuration or `<model>-<level>.gguf`.
3. Made here from an unquantized file of the same model, by llama.cpp's quantizer; where
   there is none, from one in Q8_0, with a warning.
4. Fetched from the hub (see `fetching`). Where the hub lacks the level, an unquantized file is
   fetched and the level made from it; where it lacks that, too, from its Q8_0, with a warning.

A file that was made here is made again when its source has changed. A file whose name and content
disagree is an error: results are labelled by quantization.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.records import Weights
from experiments.weights import digests, header, templates
from experiments.weights.audit import audit
from experiments.weights.deciding import (
    Decision,
    Fetch,
    Here,
    Make,
    Origin,
    bits,
    check_level,
    decide,
    holds,
    level_of,
    places,
    template,
)
from experiments.weights.facts import facts, lacks_pre_tokenizer
from experiments.weights.fetching import fetch
from experiments.weights.header import Header
from experiments.weights.memory import kv_values_per_token, most_heads, state_bytes
from experiments.weights.quantizing import quantize

if TYPE_CHECKING:
    from experiments.schema import ModelConfig, QuantizationConfig

__all__ = [
    "Decision",
    "Fetch",
    "Header",
    "Here",
    "Make",
    "Origin",
    "audit",
    "bits",
    "carry_out",
    "decide",
    "foresee",
    "locate",
    "places",
    "read_header",
]

log = logging.getLogger(__name__)

read_header = header.read


def locate(model: ModelConfig, quantization: QuantizationConfig, folder: Path) -> Weights:
    """Return the weights, fetched or made first if need be.

    Args and errors are those of `decide`; and a `WeightsError` where fetching or making fails.
    """
    decision = decide(model, quantization, folder)
    for warning in decision.warnings:
        log.warning("%s", warning)
    found = carry_out(decision, folder)
    if lacks_pre_tokenizer(found):
        _warn_of_old_tokenizer(found.path)
    if model.kind is not None and model.kind.value == "completion" and template(found, model)[0]:
        log.warning(
            "%s has a chat template, and model.kind=completion: it gets completion prompts.",
            found.path,
        )
    return _described(found, model, quantization, digests.of_parts(found.parts, folder))


def foresee(
    decision: Decision, model: ModelConfig, quantization: QuantizationConfig, folder: Path
) -> Weights:
    """Return the weights that there will be, as far as they can be known before they are here.

    Those that are not here have no digest. Their size is nominal; what the header of a source
    that is here does not say is as the configuration has it, or 0.
    """
    if isinstance(decision, Here):
        found = decision.header
        return _described(found, model, quantization, digests.of_parts(found.parts, folder))
    nominal = bits(quantization)
    source = decision.source if isinstance(decision, Make) else None
    if isinstance(source, Here):
        known = _described(source.header, model, quantization, "")
    else:
        text = templates.source(model.chat_template) if model.chat_template else None
        known = Weights(
            path=decision.path,
            sha256="",
            model=model.name,
            quantization=quantization.name,
            bytes=0,
            bits_per_weight=nominal,
            parameters=int((model.parameters_billion or 0) * 1e9),
            chat_template=text,
            template_source="config" if text else "none",
            context_tokens=model.context_tokens or 0,
            kv_values_per_token=model.kv_values_per_token or 0,
        )
    size = int(known.parameters * nominal / 8)
    return replace(
        known,
        path=decision.path,
        quantization=quantization.name,
        bytes=size,
        bits_per_weight=nominal,
    )


def _described(
    found: Header, model: ModelConfig, quantization: QuantizationConfig, digest: str
) -> Weights:
    """Return what a file says of itself."""
    text, source = template(found, model)
    label = quantization.name if holds(found, level_of(quantization)) else found.level
    return Weights(
        path=found.path,
        sha256=digest,
        model=model.name,
        quantization=label + found.mixed,
        bytes=found.file_bytes,
        bits_per_weight=found.bits_per_weight,
        parameters=found.parameters,
        chat_template=text,
        template_source=source,
        architecture=found.architecture,
        bos_token=found.token("tokenizer.ggml.bos_token_id"),
        eos_token=found.token("tokenizer.ggml.eos_token_id"),
        context_tokens=found.of_architecture("context_length") or 0,
        vocabulary=found.vocabulary,
        kv_values_per_token=kv_values_per_token(found),
        state_bytes=state_bytes(found),
        heads=most_heads(found),
        facts=facts(found),
    )


@cache
def _warn_of_old_tokenizer(path: Path) -> None:
    """Warn of a file once, however many runs of a sweep use it."""
    log.warning(
        "%s was converted before May 2024 and does not say how its text is cut into words: "
        "llama.cpp guesses, and the model may write worse than it can. Take a newer file.",
        path,
    )


def carry_out(decision: Decision, folder: Path) -> Header:
    """Do what was decided, and return the header of the file that is then here.

    Raises:
        WeightsError: it could not be fetched or made, or what came holds something else.
    """
    if isinstance(decision, Here):
        return decision.header
    if isinstance(decision, Fetch):
        found = fetch(decision.origin, decision.path)
        check_level(found, decision.level)
        return found
    if isinstance(decision.source, Fetch):
        name, origin = decision.path.name, decision.source.origin
        log.info("%s is on no hub: it is made from %s of %s.", name, origin.name, origin.repository)
    source = carry_out(decision.source, folder)
    level = decision.quantization
    return quantize(
        source, digests.of_parts(source.parts, folder), decision.path, level.ftype, bits(level)
    )
