"""What has to happen to have a model at a level: its file is here, or is fetched, or is made.

    decide(model, quantization, folder) -> Here | Fetch | Make

Only this disk is asked: no network, and nothing is written but digests that are computed on the
way. `experiments.weights` says in which order sources are taken.

In `model.files`, `FILE` is a file of the model's own repository, and `OWNER/NAME:FILE` one of
another (`OWNER/NAME@REVISION:FILE`): a repository with every quantized level often has no
unquantized file. On this disk, a file may have that name or the plain one: `MODEL-LEVEL.gguf`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from experiments.errors import ConfigError, WeightsError, did_you_mean
from experiments.schema import BITS_PER_WEIGHT
from experiments.weights import digests, header, templates
from experiments.weights.header import Header
from experiments.weights.levels import FEW_VALUES, LEVELS, NEARLY, NEED_MATRIX, UNQUANTIZED
from experiments.weights.quantizing import made_before

if TYPE_CHECKING:
    from experiments.schema import ModelConfig, QuantizationConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """A file of the hub.

    Attributes:
        repository: `owner/name`.
        revision: branch, tag or commit.
        name: of the file in the repository; the first of several parts.
    """

    repository: str
    revision: str
    name: str


@dataclass(frozen=True)
class Here:
    """The file is on this disk.

    Attributes:
        header: what it says of itself.
        warnings: what a person should know before it is used.
    """

    header: Header
    warnings: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file; the first of several parts."""
        return self.header.path

    @property
    def level(self) -> str:
        """What it holds."""
        return self.header.level + self.header.mixed


@dataclass(frozen=True)
class Fetch:
    """The file is fetched from the hub.

    Attributes:
        origin: where it is.
        path: where it is put.
        level: what it has to hold.
    """

    origin: Origin
    path: Path
    level: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Make:
    """The file is made here, by llama.cpp's quantizer.

    Attributes:
        source: what it is made from.
        path: the file to write.
        quantization: its level.
        warnings: what a person should know before it is made.
    """

    source: Here | Fetch
    path: Path
    quantization: QuantizationConfig
    warnings: tuple[str, ...] = ()


Decision = Here | Fetch | Make

_TRAINED_SO = re.compile("bitnet|bonsai|trilm|ternary", re.IGNORECASE)
"""In names of models that were trained in few values."""


@dataclass(frozen=True)
class _Asked:
    """What `decide` is asked for."""

    model: ModelConfig
    quantization: QuantizationConfig
    level: str
    folder: Path
    read: Callable[[Path], Header]

    def make(self, source: Here | Fetch, target: Path) -> Make:
        """Return how a level is made from a source.

        Raises:
            WeightsError: it cannot be made from it, or not here.
        """
        known = source.header if isinstance(source, Here) else None
        name = self.quantization.name
        missing = f"{target} is missing, and {name} cannot be made here"
        if self.level in NEED_MATRIX:
            raise WeightsError(
                f"{missing}: its quantizer needs an importance matrix",
                "Put a file of that level there, or choose q2_k or q3_k_m.",
            )
        is_dense = known is not None and not known.of_architecture("expert_count")
        if self.level == "nvfp4" or (self.level == "mxfp4_moe" and is_dense):
            raise WeightsError(
                f"{missing}: it is for models that were trained in it", "Choose q4_k_m or q4_0."
            )
        warnings = self.warnings(known)
        if source.level not in UNQUANTIZED:
            warnings += (
                f"{target.name} is made from {source.path}, which is quantized already: it loses a "
                "little more than one that is made from an F16.",
            )
        return Make(source, target, self.quantization, warnings)

    def warnings(self, found: Header | None) -> tuple[str, ...]:
        """Return what a person should know of a level that is made, or was made, here."""
        names = [self.model.name]
        if found:
            names += [found.path.name, found.architecture, found.text("general.name")]
        if self.level not in FEW_VALUES or any(map(_TRAINED_SO.search, names)):
            return ()
        return (
            f"{self.level} keeps {FEW_VALUES[self.level]} values per weight, for models that were "
            f"trained so (BitNet, TriLM, Bonsai). Any other writes noise at it, and nothing says "
            f"that {self.model.name} is one.",
        )


def decide(
    model: ModelConfig,
    quantization: QuantizationConfig,
    folder: Path,
    read: Callable[[Path], Header] = header.read,
) -> Decision:
    """Return what has to happen to have a model at a level of quantization.

    Args:
        model: where the files are. Its `chat_template` replaces that of the file.
        quantization: the level asked for.
        folder: of all models (`models`).
        read: reads a header. Who asks for many levels of one model hands in one that remembers.

    Raises:
        WeightsError: no file, a damaged one, one that holds something else than its name
            says, or one that cannot be made.
        ConfigError: the level is none of llama.cpp's, or the model's name is no name.
    """
    asked = _Asked(model, quantization, level_of(quantization), folder, read)
    if Path(model.name).name != model.name or model.name in ("", ".", ".."):
        raise ConfigError(
            f"model.name is '{model.name}', and weights are kept in a folder of that name",
            "Choose a name without slashes.",
        )
    if model.chat_template:
        templates.source(model.chat_template)  # a misspelled name is told before hours of work
    if model.file:
        return _named(asked, Path(model.file).expanduser())
    if model.files:
        return _listed(asked)
    if model.api.model:
        raise ConfigError(
            f"The model '{model.name}' has no files: it runs on a server", "Add backend=openai."
        )
    raise WeightsError(
        f"The model '{model.name}' has no files",
        f"Name a GGUF: model={model.name} model.file=PATH",
    )


def level_of(quantization: QuantizationConfig) -> str:
    """Return the level as `Header.level` names it.

    Raises:
        ConfigError: it is none of llama.cpp's.
    """
    level = quantization.ftype.removeprefix("MOSTLY_").removeprefix("ALL_").lower()
    if level not in LEVELS.values():
        known = {f"MOSTLY_{name.upper()}" for name in LEVELS.values() if name != "f32"}
        raise ConfigError(
            f"quantization.ftype is '{quantization.ftype}', which is none of llama.cpp's levels",
            did_you_mean(quantization.ftype, known | {"ALL_F32"}),
        )
    return level


def bits(quantization: QuantizationConfig) -> float:
    """Return the nominal bits per weight of a level."""
    return quantization.bits_per_weight or BITS_PER_WEIGHT[level_of(quantization)]


def holds(found: Header, level: str) -> bool:
    """Tell whether a file is of a level.

    A file that declares no level is known by its tensors only: `q4_k` may be `q4_k_m`.
    """
    declares = "general.file_type" in found.metadata
    return found.level == level or (not declares and level.startswith(f"{found.level}_"))


def check_level(found: Header, level: str) -> None:
    """Raise if a file found by its name holds something else."""
    if not holds(found, level):
        raise WeightsError(
            f"{found.path} should hold {level} and holds {found.level}",
            "Rename it, or remove it to have it made or fetched again.",
        )


def template(found: Header, model: ModelConfig) -> tuple[str | None, str]:
    """Return the chat template of a model, and where it comes from.

    Raises:
        WeightsError: there is none, and nobody says that it is a base model.
        ConfigError: a name of a template that there is not.
    """
    if model.chat_template:
        return templates.source(model.chat_template), "config"
    of_file = found.text("tokenizer.chat_template") or None
    if of_file is None and model.kind is None:
        raise WeightsError(
            f"{found.path} has no chat template, so nobody says whether it is a chat model",
            "Set model.kind=completion for a base model, or model.chat_template for a chat model "
            f"(by name: {', '.join(templates.TEMPLATES)}).",
        )
    return of_file, "gguf" if of_file else "none"


def places(model: ModelConfig, level: str, folder: Path) -> tuple[Path, ...]:
    """Return where the file of a level may be on this disk; the first is where it is put."""
    plain = f"{model.name}-{level}.gguf"
    listed = model.files.get(level, plain).rpartition(":")[2]
    names = dict.fromkeys([PurePosixPath(listed).name, plain])
    return tuple(home / name for name in names for home in (folder / model.name, folder))


def origin(model: ModelConfig, level: str) -> Origin | None:
    """Return where the hub has a level of a model; None if nobody says so."""
    listed = model.files.get(level)
    if listed is None:
        return None
    other, _, name = listed.rpartition(":")
    if other:
        repository, _, revision = other.partition("@")
        return Origin(repository, revision or "main", name)
    return Origin(model.repository, model.revision, name) if model.repository else None


def _named(asked: _Asked, path: Path) -> Decision:
    """Decide for a file that the user named."""
    found = asked.read(path)
    template(found, asked.model)  # a mistake is told before anything is made
    name = asked.quantization.name
    if holds(found, asked.level):
        return Here(found)
    label = found.level + found.mixed
    if label not in UNQUANTIZED:
        warning = (
            f"{path} is already quantized, to {label}. It is used as it is, and the results are "
            f"labelled {label}: quantization={name} has no effect on it."
        )
        return Here(found, (warning,))
    digest = digests.of_parts(found.parts, asked.folder)
    # Two files of one name may come from different folders.
    target = asked.folder / asked.model.name / f"{path.stem}-{digest[:8]}-{name}.gguf"
    made = made_before(target, digest)
    return Here(made, asked.warnings(made)) if made else asked.make(Here(found), target)


def _listed(asked: _Asked) -> Decision:
    """Decide for a model that is known by the names of its files."""
    model, level, folder = asked.model, asked.level, asked.folder
    source = _source(asked, [each for each in UNQUANTIZED if each != level])
    target, *_ = possible = places(model, asked.quantization.name, folder)
    for path in filter(header.is_here, possible):
        found = asked.read(path)
        of = found.made_from
        if of and source and of != digests.of_parts(source.header.parts, folder):
            log.info("%s was made from an older %s.", path, source.header.path.name)
            target = path
            break
        check_level(found, level)
        template(found, model)
        return Here(found, asked.warnings(found) if found.made_from else ())
    listed = origin(model, asked.quantization.name)
    if source and not (listed and level in (*NEED_MATRIX, "mxfp4_moe", "nvfp4")):
        return asked.make(source, target)
    if listed:
        return Fetch(listed, target, level)
    nearly = () if level in UNQUANTIZED else (NEARLY,)  # what is lost does not come back
    if source := _source(asked, nearly):
        return asked.make(source, target)
    for better in (*UNQUANTIZED, *nearly):
        if listed := origin(model, better):
            return asked.make(Fetch(listed, places(model, better, folder)[0], better), target)
    if not model.repository:
        raise WeightsError(
            f"{target} is missing: the model '{model.name}' names no repository to fetch it from",
            "Put the file there, or set model.file to a GGUF on this disk.",
        )
    raise WeightsError(
        f"{target} is missing, and {model.repository} has no file of {model.name} at {level}",
        f"It has: {', '.join(model.files)}. Or put an F16 file there as "
        f"{folder / model.name / f'{model.name}-f16.gguf'}: every level is made from it.",
    )


def _source(asked: _Asked, levels: Sequence[str]) -> Here | None:
    """Return the first file of some levels that others may be made from, if one is here."""
    for level in levels:
        for path in filter(header.is_here, places(asked.model, level, asked.folder)):
            found = asked.read(path)
            # One that was itself made here is no origin: F16 from F32 comes from the F32.
            if not found.made_from:
                check_level(found, level)
                template(found, asked.model)
                return Here(found)
    return None
