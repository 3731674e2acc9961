"""Removing what untrusted programs leave behind, whatever shape they gave it."""

import contextlib
import itertools
import os
import secrets
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove a folder and all in it; what cannot be removed stays.

    No link is followed, no file is opened, rights that were taken are taken back, and folders
    within folders are brought up one level at a time: the deepest have paths that are too long
    for the system, and for recursion.
    """
    unknown = secrets.token_hex(8)  # no program can have taken the names
    names = (folder / f"{unknown}-{number}" for number in itertools.count())
    with contextlib.suppress(OSError):
        while below := _emptied(folder):
            for each in below:
                for inner in _emptied(each):
                    os.rename(inner, next(names))
                os.rmdir(each)
        os.rmdir(folder)


def _emptied(folder: Path) -> list[Path]:
    """Remove all from a folder but the folders in it, which are returned."""
    os.chmod(folder, 0o700)
    with os.scandir(folder) as entries:
        found = list(entries)
    folders = []
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)  # to be moved, it has to be writable itself
            folders.append(Path(entry.path))
        else:
            os.unlink(entry.path)
    return folders
