"""Reads the header of a GGUF: what the file says of itself, and whether all of it is there.

Reads metadata and the list of tensors, never a weight, and steps over long arrays: some
milliseconds for a model of any size. Whatever the file holds, the result is a `Header` or
a `WeightsError`.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from experiments.errors import WeightsError

SUPPORTED_VERSIONS = (2, 3)
FETCH_AGAIN = "Fetch the file again."


@dataclass(frozen=True)
class Skipped:
    """A long array: where it starts, and what it holds."""

    kind: int
    count: int
    position: int


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
        path: the file.
        file_bytes: its size.
        version: of the format.
        metadata: key to value; arrays are tuples, long ones are `Skipped`.
        tensors: in the order of the file.
        data_start: where the tensors' data begins.
    """

    path: Path
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
    def parameters(self) -> int:
        """Number of weights."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

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
        if declared is not None and declared % _GUESSED in LEVELS:
            return LEVELS[declared % _GUESSED]
        weights: Counter[int] = Counter()
        for tensor in self.tensors:
            weights[tensor.kind] += math.prod(tensor.shape)
        if not weights:
            return "unknown"
        kind = weights.most_common(1)[0][0]
        return _TYPES[kind][0] if kind in _TYPES else f"type{kind}"

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
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        if isinstance(tokens, Skipped):
            return tokens.count
        return len(tokens) if isinstance(tokens, tuple) else 0

    @property
    def kv_values_per_token(self) -> int:
        """Numbers kept in the KV cache for one token; 0 if the file does not tell.

        Over all layers: KV heads x (length of a key + length of a value).
        """
        layers = self.of_architecture("block_count") or 0
        heads = self.of_architecture("attention.head_count") or 0
        width = self.of_architecture("embedding_length") or 0
        default = width // heads if heads > 0 else 0
        key = self.of_architecture("attention.key_length") or default
        value = self.of_architecture("attention.value_length") or default
        kv_heads = self.metadata.get(f"{self.architecture}.attention.head_count_kv", heads)
        if isinstance(kv_heads, tuple) and all(type(number) is int for number in kv_heads):
            total = sum(kv_heads)  # one number per layer
        else:
            total = layers * kv_heads if type(kv_heads) is int else 0
        return total * (key + value)

    def token(self, key: str) -> str:
        """Return the text of the token whose id is kept under a key; empty if there is none."""
        wanted = self.number(key)
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        if wanted is None or wanted < 0:
            return ""
        if isinstance(tokens, tuple):
            found = tokens[wanted] if wanted < len(tokens) else ""
            return found if isinstance(found, str) else ""
        if not isinstance(tokens, Skipped) or tokens.kind != _STRING or wanted >= tokens.count:
            return ""
        with self.path.open("rb") as file:
            file.seek(tokens.position)
            source = _Source(file, self.path, self.file_bytes)
            for _ in range(wanted):
                source.skip_string()
            return source.string()


def read(path: Path) -> Header:
    """Return the header of a GGUF that is complete.

    Raises:
        WeightsError: the file cannot be read, is something else, is of a version that
            llama.cpp does not read, is damaged, or is shorter than its tensors.
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


def human_bytes(number: int) -> str:
    """Return a size for a person, with the exact number of bytes where that is short."""
    if number < 10_000:
        return f"{number} bytes"
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit} ({number} bytes)"
    raise AssertionError(number)


# general.file_type → level. The numbers are llama.cpp's `llama_ftype`, also for writing.
LEVELS = {
    0: "f32",
    1: "f16",
    2: "q4_0",
    3: "q4_1",
    7: "q8_0",
    8: "q5_0",
    9: "q5_1",
    10: "q2_k",
    11: "q3_k_s",
    12: "q3_k_m",
    13: "q3_k_l",
    14: "q4_k_s",
    15: "q4_k_m",
    16: "q5_k_s",
    17: "q5_k_m",
    18: "q6_k",
    19: "iq2_xxs",
    20: "iq2_xs",
    21: "q2_k_s",
    22: "iq3_xs",
    23: "iq3_xxs",
    24: "iq1_s",
    25: "iq4_nl",
    26: "iq3_s",
    27: "iq3_m",
    28: "iq2_s",
    29: "iq2_m",
    30: "iq4_xs",
    31: "iq1_m",
    32: "bf16",
    36: "tq1_0",
    37: "tq2_0",
    38: "mxfp4_moe",
}

# ggml's number of a tensor type → name, weights per block, bytes per block.
_TYPES = {
    0: ("f32", 1, 4),
    1: ("f16", 1, 2),
    2: ("q4_0", 32, 18),
    3: ("q4_1", 32, 20),
    6: ("q5_0", 32, 22),
    7: ("q5_1", 32, 24),
    8: ("q8_0", 32, 34),
    9: ("q8_1", 32, 40),
    10: ("q2_k", 256, 84),
    11: ("q3_k", 256, 110),
    12: ("q4_k", 256, 144),
    13: ("q5_k", 256, 176),
    14: ("q6_k", 256, 210),
    15: ("q8_k", 256, 292),
    16: ("iq2_xxs", 256, 66),
    17: ("iq2_xs", 256, 74),
    18: ("iq3_xxs", 256, 98),
    19: ("iq1_s", 256, 50),
    20: ("iq4_nl", 32, 18),
    21: ("iq3_s", 256, 110),
    22: ("iq2_s", 256, 82),
    23: ("iq4_xs", 256, 136),
    24: ("i8", 1, 1),
    25: ("i16", 1, 2),
    26: ("i32", 1, 4),
    27: ("i64", 1, 8),
    28: ("f64", 1, 8),
    29: ("iq1_m", 256, 56),
    30: ("bf16", 1, 2),
    34: ("tq1_0", 256, 54),
    35: ("tq2_0", 256, 66),
    39: ("mxfp4", 32, 17),
}

_MAGIC = b"GGUF"
_OLDER_MAGICS = (b"ggml", b"lmgg", b"ggmf", b"fmgg", b"ggjt", b"tjgg", b"ggla")
_BOOL, _STRING, _ARRAY = 7, 8, 9
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_GUESSED = 1024  # added to a file type that llama.cpp had to guess
_SMALL_ARRAY = 1024  # one value per layer, at most
_MOST_ITEMS = 16_000_000  # of an array; the largest vocabularies have some 300,000 tokens
_MOST_ENTRIES = 1_000_000  # metadata entries, and tensors
_LONGEST_STRING = 64 * 2**20
_MOST_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32


class _Source:
    """The file, read forwards; its end is told as a cut file, never as short data."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file = file
        self.path = path
        self.size = size
        self.position = file.tell()

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
        if length > min(_LONGEST_STRING, self.size):
            raise self.damaged(f"a text of {length} bytes")
        return self.take(length).decode(errors="replace")

    def skip_string(self) -> None:
        length = self.u64()
        if length > self.size:
            raise self.damaged(f"a text of {length} bytes")
        self.skip(length)

    def count(self, what: str, most: int) -> int:
        number = self.u64()
        if number > most:
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
    tensor_count = source.count("tensors", _MOST_ENTRIES)
    entry_count = source.count("metadata entries", _MOST_ENTRIES)
    metadata: dict[str, Any] = {}
    for _ in range(entry_count):
        key = source.string()
        metadata[key] = _value(source, source.u32())
    tensors = tuple(_tensor(source) for _ in range(tensor_count))
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= 2**20:
        raise source.damaged(f"an alignment of {str(alignment)[:20]}")
    data_start = -(-source.position // alignment) * alignment
    header = Header(source.path, source.size, version, metadata, tensors, data_start)
    _check_complete(header)
    return header


def _value(source: _Source, kind: int) -> Any:
    """Return one metadata value."""
    if kind == _STRING:
        return source.string()
    if kind in _SCALARS:
        return _scalar(source, kind)
    if kind != _ARRAY:
        raise source.damaged(f"a value of the unknown type {kind}")
    kind = source.u32()
    if kind not in _SCALARS and kind != _STRING:
        raise source.damaged(f"an array of the unknown type {kind}")
    count = source.count("items of an array", _MOST_ITEMS)
    if count <= _SMALL_ARRAY:
        return tuple(_value(source, kind) for _ in range(count))
    skipped = Skipped(kind, count, source.position)
    if kind == _STRING:
        for _ in range(count):
            source.skip_string()
    else:
        source.skip(count * struct.calcsize(_SCALARS[kind]))
    return skipped


def _scalar(source: _Source, kind: int) -> Any:
    if kind == _BOOL:  # any byte but 0 is true
        return source.take(1) != b"\0"
    form = _SCALARS[kind]
    return struct.unpack(form, source.take(struct.calcsize(form)))[0]


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
    if kind not in _TYPES:
        return Tensor(name, shape, kind, offset, 0)
    _, block, block_bytes = _TYPES[kind]
    return Tensor(name, shape, kind, offset, -(-weights // block) * block_bytes)


def _check_complete(header: Header) -> None:
    """Raise if the file is shorter than its tensors need, or is one part of several."""
    needed = header.data_start + max(
        (item.offset + item.bytes for item in header.tensors), default=0
    )
    if needed > header.file_bytes:
        raise WeightsError(
            f"{header.path} is incomplete: it has {human_bytes(header.file_bytes)} "
            f"and should have {human_bytes(needed)}",
            FETCH_AGAIN,
        )
    parts = header.number("split.count") or 0
    if parts > 1:
        raise WeightsError(
            f"{header.path} is one of {parts} parts of a model",
            "Join them: llama-gguf-split --merge FIRST_PART NEW_FILE.",
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
