"""SHA-256 of large files, computed once.

A file of 8 GB takes half a minute to read, so its digest is kept in the models' folder,
in `.digests/`, and holds for as long as path, size, inode and time of modification stay.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from experiments.errors import WeightsError


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
        path = path.resolve()
        key = _state(path)
        kept = _kept(path, folder)
        known = _known(kept, key)
        if known:
            return known
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        after = _state(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    if after == key:
        _keep(kept, key, digest)
    return digest


def keep(path: Path, folder: Path, digest: str) -> None:
    """Keep the SHA-256 of a file that was computed elsewhere, for `sha256` to find.

    Args:
        path: the file, in its final place.
        folder: of the models.
        digest: of its content.
    """
    path = path.resolve()
    _keep(_kept(path, folder), _state(path), digest)


def _kept(path: Path, folder: Path) -> Path:
    return folder / ".digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.json"


def _state(path: Path) -> str:
    """Return what changes when a file does."""
    state = path.stat()
    return f"{path} {state.st_size} {state.st_mtime_ns} {state.st_ino}"


def _known(kept: Path, key: str) -> str:
    """Return the digest that is kept for this state of the file; empty if there is none."""
    try:
        found = json.loads(kept.read_text())
        digest = found["sha256"] if found["file"] == key else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return digest if isinstance(digest, str) and len(digest) == 64 else ""


def _keep(kept: Path, key: str, digest: str) -> None:
    """Keep a digest; a folder that cannot be written costs time only."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=kept.parent, suffix=".part")
        with os.fdopen(handle, "w") as file:
            json.dump({"file": key, "sha256": digest}, file)
        Path(name).replace(kept)
    except OSError:
        return
