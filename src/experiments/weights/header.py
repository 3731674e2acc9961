"""Reads the header of a GGUF: what the file says of itself, and whether all of it is there.

Metadata and the list of tensors are read, never a weight, and long arrays are stepped over: less
than a second for a model of any size. Whatever the file holds, the result is a `Header` or a
`WeightsError`, and what it declares is bounded: no file is read for long.

A model that is split into parts (`-00001-of-00003.gguf`) is named by its first, and its header is
that of all of them.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from experiments.errors import WeightsError
from experiments.weights.levels import GUESSED, LEVELS, TENSOR_TYPES, UNQUANTIZED

SUPPORTED_VERSIONS = (2, 3)
FETCH_AGAIN = "Fetch it again; if it was made here, remove it, and it is made again."

SOURCE_KEY = "experiments.source_sha256"
"""In a GGUF that was made here: the digest of what it was made from."""


@dataclass(frozen=True)
class Skipped:
    """A long array that was stepped over: how many items it has."""

    count: int


@dataclass(frozen=True)
class Tensor:
    """One tensor: its shape, ggml's number of its type, and where its data begins.

    `bytes` is 0 for a type that is newer than this reader.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    bytes: int


@dataclass(frozen=True)
class Header:
    """What a GGUF says of itself.

    Attributes:
        path: the file; the first of several parts.
        parts: all files of the model, in their order.
        file_bytes: size of all parts.
        version: of the format.
        metadata: key to value; arrays are tuples, long ones but the tokens are `Skipped`.
        tensors: in the order of the file.
        data_start: where the tensors' data begins.
    """

    path: Path
    parts: tuple[Path, ...]
    file_bytes: int
    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]
    data_start: int

    @property
    def architecture(self) -> str:
        """Return the name of the network's architecture (`llama`), or nothing."""
        return self.text("general.architecture")

    @property
    def made_from(self) -> str:
        """The digest of the file that it was quantized from here; empty for others."""
        return self.text(SOURCE_KEY)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.types.total()

    @property
    def bits_per_weight(self) -> float:
        """8 x size of the tensors' data / number of weights."""
        known = sum(tensor.bytes for tensor in self.tensors)
        if any(not tensor.bytes for tensor in self.tensors):
            known = self.file_bytes - self.data_start
        return 8 * known / max(1, self.parameters)

    @property
    def level(self) -> str:
        """The quantization as in config names (`q4_k_m`, `f16`).

        What the file declares. One that declares nothing is named after the type of most
        of its weights, which does not tell `q4_k_m` from `q4_k_s`: it is then `q4_k`.
        """
        declared = self.number("general.file_type")
        if declared is not None and declared % GUESSED in LEVELS:
            return LEVELS[declared % GUESSED]
        return self._most

    @property
    def mixed(self) -> str:
        """What to add to the level of a file whose weights are mostly of another kind.

        `+mxfp4` for a model that was trained in that type, whatever its other tensors are in.
        """
        most, level = self._most, self.level
        is_other = most in _TRAINED_IN and not level.startswith(most)
        is_quantized = level in UNQUANTIZED and most not in UNQUANTIZED
        return f"+{most}" if is_other or is_quantized else ""

    @cached_property
    def types(self) -> Counter[str]:
        """How many weights each type of tensor holds."""
        weights: Counter[str] = Counter()
        for tensor in self.tensors:
            name = TENSOR_TYPES.get(tensor.kind, (f"type{tensor.kind}",))[0]
            weights[name] += math.prod(tensor.shape)
        return weights

    @property
    def _most(self) -> str:
        return self.types.most_common(1)[0][0] if self.types else "unknown"

    def text(self, key: str) -> str:
        """Return a value that is a text; empty if it is missing or of another type."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int | None:
        """Return a value that is a whole number, if it is there.

        Some models have one value per layer; the largest is returned.
        """
        value = self.metadata.get(key)
        if isinstance(value, tuple) and value and all(type(item) is int for item in value):
            return int(max(value))
        return value if type(value) is int else None

    def of_architecture(self, key: str) -> int | None:
        """Return a whole number kept under the architecture's name (`llama.block_count`)."""
        return self.number(f"{self.architecture}.{key}")

    @property
    def vocabulary(self) -> int:
        """Number of tokens; 0 if the file has no tokenizer."""
        return len(self._tokens)

    def token(self, key: str) -> str:
        """Return the text of the token whose id is kept under a key; empty if there is none."""
        wanted = self.number(key)
        if wanted is None or not 0 <= wanted < len(self._tokens):
            return ""
        return self._tokens[wanted]

    @property
    def _tokens(self) -> tuple[str, ...]:
        tokens = self.metadata.get(_TOKENS)
        return tokens if isinstance(tokens, tuple) and tokens and type(tokens[0]) is str else ()


def read(path: Path) -> Header:
    """Return the header of a GGUF that is complete, with all its parts if it is split.

    Raises:
        WeightsError: a file cannot be read or is missing, is something else, is of a version
            that llama.cpp does not read, is damaged, or is shorter than its tensors.
    """
    first = read_part(path)
    count = first.number("split.count") or 1
    if count <= 1:
        return first
    paths = [path.with_name(name) for name in split_names(path.name)]
    if len(paths) != count or paths[0] != path:
        raise WeightsError(
            f"{path} is part {(first.number('split.no') or 0) + 1} of {count} of a model",
            f"Name the first part, and keep the names of all: MODEL-00001-of-{count:05}.gguf.",
        )
    if missing := [one.name for one in paths if not one.is_file()]:
        raise WeightsError(
            f"{path} is the first of {count} parts, and {', '.join(missing[:3])} is missing",
            "Put all parts into one folder.",
        )
    parts = [first, *map(read_part, paths[1:])]
    tensors = tuple(tensor for part in parts for tensor in part.tensors)
    declared = first.number("split.tensors.count")
    if declared is not None and declared != len(tensors):
        raise WeightsError(
            f"{path} has {len(tensors)} tensors in its {count} parts, and should have {declared}",
            "Fetch all parts again, of one model.",
        )
    size = sum(part.file_bytes for part in parts)
    return replace(first, parts=tuple(paths), file_bytes=size, tensors=tensors)


def read_part(path: Path) -> Header:
    """Return the header of one file, which may be a part of a model.

    Raises:
        WeightsError: as `read`.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _read(_Source(file, path, size))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}", "Set model.file to a GGUF file."
        ) from None


def is_here(path: Path) -> bool:
    """Return whether a file is on this disk, with all parts if it is the first of several."""
    return all(path.with_name(name).is_file() for name in split_names(path.name))


def split_names(name: str) -> list[str]:
    """Return the names of all parts of a model, given that of the first; else the name alone."""
    found = re.fullmatch(r"(.+)-00001-of-(\d{5})\.gguf", name)
    if not found:
        return [name]
    prefix, count = found[1], int(found[2])
    return [f"{prefix}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]


def human_bytes(number: int) -> str:
    """Return a size for a person, with the exact number of bytes where that is short."""
    if number < 10_000:
        return f"{number} bytes"
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit} ({number} bytes)"
    raise AssertionError(number)


_TRAINED_IN = ("mxfp4", "nvfp4")
"""Types of tensors that no quantizer chooses for a model of another level."""

_MAGIC = b"GGUF"
_OLDER_MAGICS = (b"ggml", b"lmgg", b"ggmf", b"fmgg", b"ggjt", b"tjgg", b"ggla")
_BOOL, _STRING, _ARRAY = 7, 8, 9
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_TOKENS = "tokenizer.ggml.tokens"
_SMALL_ARRAY = 1024  # one value per layer, at most
_MOST_ITEMS = 4_000_000  # entries, tensors and items of arrays; the largest files have 1,500,000
_MOST_TEXT = 64 * 2**20  # bytes of all texts that are kept
_MOST_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32


class _Source:
    """The file, read forwards; its end is told as a cut file, never as short data."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file = file
        self.path = path
        self.size = size
        self.position = file.tell()
        self.items = self.text = 0

    def take(self, count: int) -> bytes:
        data = self.file.read(count) if count <= self.size - self.position else b""
        if len(data) < count:
            raise self.cut()
        self.position += count
        return data

    def skip(self, count: int) -> None:
        if count > self.size - self.position:
            raise self.cut()
        self.position = self.file.seek(count, 1)

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def string(self) -> str:
        length = self.u64()
        self.text += length
        if self.text > _MOST_TEXT or length > self.size:
            raise self.damaged(f"a text of {length} bytes")
        return self.take(length).decode(errors="replace")

    def skip_string(self) -> None:
        length = self.u64()
        if length > self.size:
            raise self.damaged(f"a text of {length} bytes")
        self.skip(length)

    def count(self, what: str) -> int:
        number = self.u64()
        self.items += number
        if self.items > _MOST_ITEMS:
            raise self.damaged(f"{number} {what}")
        return number

    def cut(self) -> WeightsError:
        return WeightsError(
            f"{self.path} is incomplete: it ends after {human_bytes(self.size)}, "
            "before the list of its tensors does",
            FETCH_AGAIN,
        )

    def damaged(self, what: str) -> WeightsError:
        return WeightsError(
            f"{self.path} ({human_bytes(self.size)}) is damaged: near byte {self.position} "
            f"it declares {what}",
            FETCH_AGAIN,
        )


def _read(source: _Source) -> Header:
    """Return the header of the file, checked."""
    start = source.file.read(512)
    if not start.startswith(_MAGIC):
        raise _no_gguf(source, start)
    source.position = source.file.seek(len(_MAGIC))
    version = source.u32()
    if version not in SUPPORTED_VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        which = "a big-endian GGUF" if swapped in (1, 2, 3) else f"GGUF version {version}"
        raise WeightsError(
            f"{source.path} ({human_bytes(source.size)}) is {which}, "
            f"supported are versions {' and '.join(map(str, SUPPORTED_VERSIONS))}, little-endian",
            "Take a newer file of this model, or convert it again.",
        )
    tensor_count = source.count("tensors")
    entry_count = source.count("metadata entries")
    metadata: dict[str, Any] = {}
    for _ in range(entry_count):
        key = source.string()
        metadata[key] = _value(source, source.u32(), keep=key == _TOKENS)
    tensors = tuple(_tensor(source) for _ in range(tensor_count))
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= 2**20:
        raise source.damaged(f"an alignment of {str(alignment)[:20]}")
    data_start = -(-source.position // alignment) * alignment
    header = Header(
        source.path, (source.path,), source.size, version, metadata, tensors, data_start
    )
    _check_complete(header)
    return header


def _value(source: _Source, kind: int, keep: bool) -> Any:
    """Return one metadata value; with `keep`, also an array that is long."""
    if kind == _STRING:
        return source.string()
    if kind in _SCALARS:
        return _numbers(source, kind, 1)[0]
    if kind != _ARRAY:
        raise source.damaged(f"a value of the unknown type {kind}")
    kind = source.u32()
    if kind not in _SCALARS and kind != _STRING:
        raise source.damaged(f"an array of the unknown type {kind}")
    count = source.count("items of an array")
    if count <= _SMALL_ARRAY or (keep and kind == _STRING):
        if kind != _STRING:
            return _numbers(source, kind, count)
        return tuple(source.string() for _ in range(count))
    if kind == _STRING:
        for _ in range(count):
            source.skip_string()
    else:
        source.skip(count * struct.calcsize(f"<{_SCALARS[kind]}"))
    return Skipped(count)


def _numbers(source: _Source, kind: int, count: int) -> tuple[Any, ...]:
    data = source.take(count * struct.calcsize(f"<{_SCALARS[kind]}"))
    if kind == _BOOL:  # any byte but 0 is true
        return tuple(byte != 0 for byte in data)
    return struct.unpack(f"<{count}{_SCALARS[kind]}", data)


def _tensor(source: _Source) -> Tensor:
    """Return one entry of the list of tensors."""
    name = source.string()
    dimensions = source.u32()
    if dimensions > _MOST_DIMENSIONS:
        raise source.damaged(f"a tensor of {dimensions} dimensions")
    shape = tuple(source.u64() for _ in range(dimensions))
    kind = source.u32()
    offset = source.u64()
    weights = math.prod(shape)
    if kind not in TENSOR_TYPES:
        return Tensor(name, shape, kind, offset, 0)
    _, block, block_bytes = TENSOR_TYPES[kind]
    return Tensor(name, shape, kind, offset, -(-weights // block) * block_bytes)


def _check_complete(header: Header) -> None:
    """Raise if the file is shorter than its tensors need."""
    needed = header.data_start + max(
        (item.offset + item.bytes for item in header.tensors), default=0
    )
    if needed > header.file_bytes:
        raise WeightsError(
            f"{header.path} is incomplete: it has {human_bytes(header.file_bytes)} "
            f"and should have {human_bytes(needed)}",
            FETCH_AGAIN,
        )


def _no_gguf(source: _Source, start: bytes) -> WeightsError:
    """Return the error for a file that is something else, as near to the cause as can be told."""
    file = f"{source.path} ({human_bytes(source.size)})"
    if not start:
        return WeightsError(f"{source.path} is empty", FETCH_AGAIN)
    text = start.lstrip().lower()
    if text.startswith(b"version https://git-lfs"):
        size = [line[5:].strip() for line in text.splitlines() if line.startswith(b"size ")]
        real = size[0].decode(errors="replace")[:20] if size else ""
        should = f", which has {human_bytes(int(real))}" if real.isdecimal() else ""
        return WeightsError(
            f"{file} is a pointer of git-lfs and not the file itself{should}",
            "Fetch the file: git lfs pull.",
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return WeightsError(
            f"{file} is no GGUF but a web page",
            "Fetch the file itself: on the hub its address has /resolve/, not /blob/.",
        )
    if start[:4] in _OLDER_MAGICS:
        return WeightsError(
            f"{file} is in a format older than GGUF, which llama.cpp no longer reads",
            "Take a GGUF of this model.",
        )
    if len(start) < len(_MAGIC) and _MAGIC.startswith(start):
        return source.cut()
    return WeightsError(
        f"{file} is no GGUF: it begins with {start[:4]!r}", "Set model.file to a GGUF file."
    )
