"""SHA-256 of large files, computed once.

A file of 8 GB takes half a minute to read, so its digest is kept in the models' folder,
in `.digests/`, and holds for as long as path, size, inode and time of modification stay.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from experiments.errors import StoreError, WeightsError
from experiments.store.files import read_object, write_text


def of_parts(parts: Sequence[Path], folder: Path) -> str:
    """Return the digest of a model: of its file, or of its parts' digests, one a line."""
    if len(parts) == 1:
        return sha256(parts[0], folder)
    lines = "".join(f"{sha256(part, folder)}\n" for part in parts)
    return hashlib.sha256(lines.encode()).hexdigest()


def sha256(path: Path, folder: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Args:
        path: the file.
        folder: of the models, where digests are kept. If it cannot be written, the digest
            is computed each time.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        state = _state(path)
        kept = read_object(_kept(path, folder))
        if kept.get("file") == state and len(str(kept.get("sha256"))) == 64:
            return str(kept["sha256"])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _state(path) == state:
            keep(path, folder, digest)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    return digest


def keep(path: Path, folder: Path, digest: str) -> None:
    """Keep the SHA-256 of a file, in its final place, for `sha256` to find.

    A folder that cannot be written costs time only.
    """
    kept, content = _kept(path, folder), {"file": _state(path), "sha256": digest}
    with suppress(OSError, StoreError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, json.dumps(content))


def _kept(path: Path, folder: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return folder / ".digests" / f"{name}.json"


def _state(path: Path) -> str:
    """Return what changes when a file does."""
    path = path.resolve()
    state = path.stat()
    return f"{path} {state.st_size} {state.st_mtime_ns} {state.st_ino}"
