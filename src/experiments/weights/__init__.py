"""A model and a quantization → a GGUF file on this disk.

    locate(model, quantization, folder) -> Weights

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

A file whose name and content disagree is an error: results are labelled by quantization.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import ConfigError, WeightsError, did_you_mean
from experiments.records import Weights
from experiments.weights import header, templates
from experiments.weights.audit import audit
from experiments.weights.digests import sha256
from experiments.weights.fetching import fetch
from experiments.weights.header import Header
from experiments.weights.origins import Origin, origin, places
from experiments.weights.quantizing import SOURCE_KEY, made_from, quantize

if TYPE_CHECKING:
    from experiments.schema import ModelConfig, QuantizationConfig

__all__ = [
    "NEARLY",
    "UNQUANTIZED",
    "Header",
    "audit",
    "locate",
    "origin",
    "places",
    "read_header",
]

log = logging.getLogger(__name__)

read_header = header.read

UNQUANTIZED = ("f16", "bf16", "f32")
NEARLY = "q8_0"
"""Loses so little that other levels may be made from it, if there is nothing better."""


def locate(model: ModelConfig, quantization: QuantizationConfig, folder: Path) -> Weights:
    """Return the weights, quantized here first if need be.

    Args:
        model: where the files are. Its `chat_template` replaces that of the file.
        quantization: the level asked for.
        folder: of all models (`models`).

    Raises:
        WeightsError: no file, a damaged one, one that holds something else than its name
            says, or one that cannot be made.
        ConfigError: the level is none of llama.cpp's, or the model's name is no name.
    """
    level = _level(quantization)
    if Path(model.name).name != model.name or model.name in ("", ".", ".."):
        raise ConfigError(
            f"model.name is '{model.name}', and weights are kept in a folder of that name",
            "Choose a name without slashes.",
        )
    if model.chat_template:
        templates.source(model.chat_template)  # a misspelled name is told before hours of work
    if model.file:
        path = _from_file(Path(model.file).expanduser(), model, quantization, level, folder)
    else:
        path = _from_folder(model, quantization, level, folder)
    return _weights(path, model, quantization, level, folder)


def _level(quantization: QuantizationConfig) -> str:
    """Return the level as `Header.level` names it."""
    level = quantization.ftype.removeprefix("MOSTLY_").removeprefix("ALL_").lower()
    if level not in header.LEVELS.values():
        known = {f"MOSTLY_{name.upper()}" for name in header.LEVELS.values() if name != "f32"}
        raise ConfigError(
            f"quantization.ftype is '{quantization.ftype}', which is none of llama.cpp's levels",
            did_you_mean(quantization.ftype, known | {"ALL_F32"}),
        )
    return level


def _from_file(
    path: Path, model: ModelConfig, quantization: QuantizationConfig, level: str, folder: Path
) -> Path:
    """Return the file that the user named, or what was quantized from it."""
    found = header.read(path)
    _template(found, model)  # a mistake is told before anything is made
    if _holds(found, level):
        return path
    if found.level not in UNQUANTIZED:
        log.warning(
            "%s is already quantized, to %s. It is used as it is, and the results are labelled "
            "%s: quantization=%s has no effect on it.",
            path,
            found.level,
            found.level,
            quantization.name,
        )
        return path
    source_sha256 = sha256(path, folder)
    # Two files of one name may come from different folders.
    name = f"{path.stem}-{source_sha256[:8]}-{quantization.name}.gguf"
    target = folder / model.name / name
    if made_from(target) != source_sha256:
        quantize(path, source_sha256, target, quantization.ftype, quantization.bits_per_weight)
    return target


def _from_folder(
    model: ModelConfig, quantization: QuantizationConfig, level: str, folder: Path
) -> Path:
    """Return the model's file in the models' folder; made or fetched if it is not there."""
    if not model.files and model.api.model:
        raise ConfigError(
            f"The model '{model.name}' has no files: it runs on a server",
            "Add backend=openai.",
        )
    if not model.files:
        raise WeightsError(
            f"The model '{model.name}' has no files",
            f"Name a GGUF: model={model.name} model.file=PATH",
        )
    source = _source(model, level, folder)
    possible = places(model, quantization.name, folder)
    target = possible[0]
    for path in possible:
        if not path.is_file():
            continue
        found = header.read(path)
        made = found.text(SOURCE_KEY)
        if made and source and made != sha256(source, folder):
            log.info("%s was made from an older %s.", path, source.name)
            target = path
            break
        _check_label(found, level)
        return path
    listed = origin(model, quantization.name)
    if source is None and listed is None and level not in (*UNQUANTIZED, NEARLY):
        source = _find(model, NEARLY, folder)
    if source is None and listed is None:
        source = _fetched_source(model, level, target, folder)
    if source:
        if header.read(source).level == NEARLY:
            log.warning(
                "%s is made from %s, which is quantized already: it loses a little more than "
                "one that is made from an F16.",
                target.name,
                source,
            )
        digest = sha256(source, folder)
        quantize(source, digest, target, quantization.ftype, quantization.bits_per_weight)
        return target
    fetched = _fetch(model, listed, target)
    _check_label(header.read(fetched), level)
    return fetched


def _fetch(model: ModelConfig, wanted: Origin | None, target: Path) -> Path:
    """Return a file of the hub, fetched to its place."""
    if wanted is None:
        return fetch(model.name, None, "", target.name, target)
    return fetch(model.name, wanted.repository, wanted.revision, wanted.name, target)


def _fetched_source(model: ModelConfig, level: str, target: Path, folder: Path) -> Path | None:
    """Return the best file to make a level from, fetched; None if the hub has none at all.

    Raises:
        WeightsError: the hub has the model, and nothing that this level can be made from.
    """
    enough = UNQUANTIZED if level in UNQUANTIZED else (*UNQUANTIZED, NEARLY)
    for better in enough:
        wanted = origin(model, better)
        if wanted:
            log.info("%s has no %s: it is made from %s.", model.name, level, wanted.name)
            source = _fetch(model, wanted, places(model, better, folder)[0])
            _check_label(header.read(source), better)
            return source
    if model.repository:
        raise WeightsError(
            f"{target} is missing, and {model.repository} has no file of {model.name} at {level}",
            f"It has: {', '.join(model.files)}. Or put an F16 file there as "
            f"{folder / model.name / f'{model.name}-f16.gguf'}: every level is made from it.",
        )
    return None


def _source(model: ModelConfig, level: str, folder: Path) -> Path | None:
    """Return an unquantized file of the model other than the one asked for, if it is here."""
    for unquantized in UNQUANTIZED:
        found = None if unquantized == level else _find(model, unquantized, folder)
        if found:
            return found
    return None


def _find(model: ModelConfig, level: str, folder: Path) -> Path | None:
    """Return the model's file of a level that levels may be made from, if it is here."""
    for path in places(model, level, folder):
        # One that was itself made here is no origin: F16 from F32 comes from the F32.
        if path.is_file():
            found = header.read(path)
            if not found.text(SOURCE_KEY):
                _check_label(found, level)
                return path
    return None


def _holds(found: Header, level: str) -> bool:
    """Tell whether a file is of a level.

    A file that declares no level is known by its tensors only: `q4_k` may be `q4_k_m`.
    """
    declares = "general.file_type" in found.metadata
    return found.level == level or (not declares and level.startswith(f"{found.level}_"))


def _check_label(found: Header, level: str) -> None:
    """Raise if a file found by its name holds something else."""
    if not _holds(found, level):
        raise WeightsError(
            f"{found.path} should hold {level} and holds {found.level}",
            "Rename it, or remove it to have it made or fetched again.",
        )


def _template(found: Header, model: ModelConfig) -> tuple[str | None, str]:
    """Return the chat template of a model, and where it comes from.

    Raises:
        WeightsError: there is none, and nobody says that it is a base model.
        ConfigError: a name of a template that there is not.
    """
    if model.chat_template:
        return templates.source(model.chat_template), "config"
    template = found.text("tokenizer.chat_template") or None
    if template is None and model.kind is None:
        raise WeightsError(
            f"{found.path} has no chat template, so nobody says whether it is a chat model",
            "Set model.kind=completion for a base model, or model.chat_template for a chat model "
            f"(by name: {', '.join(templates.TEMPLATES)}).",
        )
    return template, "gguf" if template else "none"


def _weights(
    path: Path, model: ModelConfig, quantization: QuantizationConfig, level: str, folder: Path
) -> Weights:
    """Return the record of a file."""
    found = header.read(path)
    template, source = _template(found, model)
    if template and model.kind is not None and model.kind.value == "completion":
        log.warning(
            "%s has a chat template, and model.kind=completion: it gets completion prompts.", path
        )
    return Weights(
        path=path,
        sha256=sha256(path, folder),
        model=model.name,
        quantization=quantization.name if _holds(found, level) else found.level,
        bytes=found.file_bytes,
        bits_per_weight=found.bits_per_weight,
        parameters=found.parameters,
        chat_template=template,
        template_source=source,
        architecture=found.architecture,
        bos_token=found.token("tokenizer.ggml.bos_token_id"),
        eos_token=found.token("tokenizer.ggml.eos_token_id"),
        context_tokens=found.of_architecture("context_length") or 0,
        vocabulary=found.vocabulary,
        kv_values_per_token=found.kv_values_per_token,
    )
