"""Problems that were read before, kept on disk by the content of their file.

One file per problem, replaced when the problem changes, so the cache does not grow. Its name is
that of the problem. The data are JSON; what JSON cannot say stands as an object with one key, the
name of its type: `{"tuple": [1, 2]}`. (The form in which outputs leave the sandbox says the same;
reading it takes seven times as long, at the start of each run.)
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.store import computed

_VERSION = 2
"""To be raised when the same file gives another problem than before."""

_TYPES: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "dict": dict,
    "set": set,
    "frozenset": frozenset,
    "complex": lambda parts: complex(*parts),
    "bytes": bytes.fromhex,
    "str": lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
}


def key(name: str, content: bytes) -> bytes:
    """Return the key of a problem: all that decides how its file is read."""
    about = f"{_VERSION} {sys.implementation.name} {sys.version_info[:3]} {name}\n"
    return hashlib.sha256(about.encode() + content).digest()


def find(folder: Path, name: str, wanted: bytes) -> Any:
    """Return what is kept for the key; None if there is nothing, or it is damaged."""
    body = computed.find(_file(folder, name), wanted)
    try:
        return body and json.loads(body, object_hook=_made)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def keep(folder: Path, name: str, wanted: bytes, value: Any) -> None:
    """Keep a plain value under the key; a folder that cannot be written keeps nothing."""
    computed.keep(_file(folder, name), wanted, json.dumps(_told(value)).encode())


def _file(folder: Path, name: str) -> Path:
    return folder / "problems" / f"{name.replace('/', '-')}.json"


def _told(value: Any) -> Any:
    """Return a plain value as JSON has it."""
    match value:
        case list():
            return [_told(item) for item in value]
        case dict():
            return {"dict": [[_told(name), _told(item)] for name, item in value.items()]}
        case tuple() | set() | frozenset():
            return {type(value).__name__: [_told(item) for item in value]}
        case complex():
            return {"complex": [value.real, value.imag]}
        case bytes():
            return {"bytes": value.hex()}
        case str() if any("\ud800" <= letter <= "\udfff" for letter in value):
            return {"str": value.encode("utf-8", "surrogatepass").hex()}
    return value


def _made(told: dict[str, Any]) -> Any:
    ((kind, content),) = told.items()
    return _TYPES[kind](content)
