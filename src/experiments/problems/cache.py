"""Problems that were read before, kept on disk by the content of their file.

One file per problem, replaced when the problem changes, so the cache does not grow. Its name
is that of the problem; it opens with the key under which it holds and with a checksum, so a
stale or damaged one is known for what it is and made anew. The data are written by `marshal`,
which knows plain values only. (`joblib.Memory` does the same for any function; importing it
takes longer than reading all problems.)
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import secrets
import sys
from pathlib import Path
from typing import Any

_VERSION = 1
"""To be raised when the same file gives another problem than before."""

_KEY_BYTES = hashlib.sha256().digest_size
_MARSHAL_VERSION = 2


def key(name: str, content: bytes) -> bytes:
    """Return the key of a problem: all that decides how its file is read."""
    about = f"{_VERSION} {sys.implementation.name} {sys.version_info[:3]} {name}\n"
    return hashlib.sha256(about.encode() + content).digest()


def find(folder: Path, name: str, wanted: bytes) -> Any:
    """Return what is kept for the key; None if there is nothing, or it is damaged."""
    try:
        data = _file(folder, name).read_bytes()
    except OSError:
        return None
    kept, checksum = data[:_KEY_BYTES], data[_KEY_BYTES : 2 * _KEY_BYTES]
    body = data[2 * _KEY_BYTES :]
    if kept != wanted or hashlib.sha256(body).digest() != checksum:
        return None
    return marshal.loads(body)


def keep(folder: Path, name: str, wanted: bytes, value: Any) -> None:
    """Keep a plain value under the key; a folder that cannot be written keeps nothing."""
    body = marshal.dumps(value, _MARSHAL_VERSION)
    file = _file(folder, name)
    half = file.with_name(f"{file.name}.{secrets.token_hex(6)}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            half.write_bytes(wanted + hashlib.sha256(body).digest() + body)
            half.replace(file)
        finally:
            half.unlink(missing_ok=True)


def _file(folder: Path, name: str) -> Path:
    return folder / "problems" / f"{name.replace('/', '-')}.marshal"
