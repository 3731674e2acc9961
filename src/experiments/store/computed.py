"""Data that were computed before: a file each, which opens with a key and a checksum.

What does not open with the key that is asked for, or is damaged, is made anew. The folder may be
a stranger's, and a checksum keeps nobody from writing what he likes: so these are bytes, and who
asks for them reads them as data. Nothing that can name code (pickles, what joblib keeps) or that is
unsafe on the bytes of others (`marshal`) is read from a file anywhere in this project.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from pathlib import Path

_DIGEST_BYTES = hashlib.sha256().digest_size


def find(file: Path, key: bytes) -> bytes | None:
    """Return what a file keeps; None if there is none, it has another key, or it is damaged.

    Args:
        file: of any name.
        key: a SHA-256 of all that decides the data.
    """
    try:
        data = file.read_bytes()
    except OSError:
        return None
    head, body = data[: 2 * _DIGEST_BYTES], data[2 * _DIGEST_BYTES :]
    return body if head == key + hashlib.sha256(body).digest() else None


def keep(file: Path, key: bytes, body: bytes) -> None:
    """Keep data under a key; a folder that cannot be written keeps nothing."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(6)}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(key + hashlib.sha256(body).digest() + body)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
