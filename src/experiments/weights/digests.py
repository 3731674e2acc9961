"""SHA-256 of large files, computed once.

A file of 8 GB takes half a minute to read, so its digest is kept in the models' folder,
in `.digests/`, and holds for as long as path, size, inode and time of modification stay.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from experiments.errors import WeightsError


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
        if known := _known(_kept(path, folder), state):
            return known
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
    state = _state(path)
    kept = _kept(path, folder)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=kept.parent, suffix=".part")
        with os.fdopen(handle, "w") as file:
            json.dump({"file": state, "sha256": digest}, file)
        Path(name).replace(kept)
    except OSError:
        return


def _kept(path: Path, folder: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return folder / ".digests" / f"{name}.json"


def _state(path: Path) -> str:
    """Return what changes when a file does."""
    path = path.resolve()
    state = path.stat()
    return f"{path} {state.st_size} {state.st_mtime_ns} {state.st_ino}"


def _known(kept: Path, state: str) -> str:
    """Return the digest that is kept for this state of the file; empty if there is none."""
    try:
        found = json.loads(kept.read_text())
        digest = found["sha256"] if found["file"] == state else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return digest if isinstance(digest, str) and len(digest) == 64 else ""
