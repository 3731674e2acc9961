"""Where a model's file is: what it is called on this disk, and where the hub has it.

In `model.files`, `FILE` is a file of the model's own repository, and `OWNER/NAME:FILE` one of
another: a repository with every quantized level often has no unquantized file. On this disk, a
file may have that name or the plain one: `MODEL-LEVEL.gguf`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.schema import ModelConfig


@dataclass(frozen=True)
class Origin:
    """A file of the hub.

    Attributes:
        repository: `owner/name`.
        revision: branch, tag or commit.
        name: of the file in the repository.
    """

    repository: str
    revision: str
    name: str


def places(model: ModelConfig, level: str, folder: Path) -> tuple[Path, ...]:
    """Return where the file of a level may be on this disk; the first is where it is put.

    Args:
        model: with its files.
        level: name of the quantization.
        folder: of all models.
    """
    plain = f"{model.name}-{level}.gguf"
    other, _, name = model.files.get(level, plain).rpartition(":")
    names = dict.fromkeys([PurePosixPath(name).name if other else name, plain])
    return tuple(home / name for name in names for home in (folder / model.name, folder))


def origin(model: ModelConfig, level: str) -> Origin | None:
    """Return where the hub has a level of a model; None if nobody says so."""
    listed = model.files.get(level)
    if listed is None:
        return None
    other, _, name = listed.rpartition(":")
    if other:
        return Origin(other, "main", name)
    return Origin(model.repository, model.revision, name) if model.repository else None
