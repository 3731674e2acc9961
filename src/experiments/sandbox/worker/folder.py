"""Emptying a folder in which untrusted programs wrote, whatever shape they gave it.

Everything is done by descriptors of folders: no link is followed and no path is trusted, so
that a program which still runs cannot have anything else removed or changed.
"""

import itertools
import os
import secrets
from collections.abc import Iterator

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(path: str) -> None:
    """Remove a folder and all in it; what cannot be removed stays."""
    above, name = os.path.split(path)
    try:
        parent = os.open(above, _FOLDER)
    except OSError:
        return
    try:
        _unlock(name, parent)
        empty(name, parent)
        os.rmdir(name, dir_fd=parent)
    except OSError:
        pass
    finally:
        os.close(parent)


def empty(path: str, parent: int | None = None) -> None:
    """Remove all in a folder.

    Folders within folders are brought up one level at a time: the deepest have paths that are
    too long for the system, and for recursion.

    Raises:
        OSError: something could not be removed.
    """
    unknown = secrets.token_hex(8)  # no program can have taken the names
    names = (f"{unknown}-{number}" for number in itertools.count())
    top = os.open(path, _FOLDER, dir_fd=parent)
    try:
        while folders := list(_unlinked(top)):
            for name in folders:
                below = os.open(name, _FOLDER, dir_fd=top)
                try:
                    for inner in list(_unlinked(below)):
                        os.rename(inner, next(names), src_dir_fd=below, dst_dir_fd=top)
                finally:
                    os.close(below)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def is_overfull(path: str, most_files: int, most_bytes: int) -> bool:
    """Whether there is more in a folder than there may be, or what cannot be counted."""
    files = size = 0
    todo = [path]
    try:
        while todo:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if files > most_files or size > most_bytes:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
    except FileNotFoundError:  # removed meanwhile: the next look is soon
        return False
    except OSError:
        return True
    return False


def _unlinked(folder: int) -> Iterator[str]:
    """Remove all from a folder but the folders in it, whose names are given."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            _unlock(entry.name, folder)  # to be moved, it has to be writable itself
            yield entry.name
        else:
            os.unlink(entry.name, dir_fd=folder)


def _unlock(name: str, parent: int) -> None:
    """Take back the rights to a folder that were taken away."""
    if os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & 0o700 == 0o700:
        return
    if not hasattr(os, "O_PATH"):
        os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
        return
    handle = os.open(name, os.O_PATH | _FOLDER, dir_fd=parent)  # opens without any right
    try:
        os.chmod(f"/proc/self/fd/{handle}", 0o700)
    finally:
        os.close(handle)
