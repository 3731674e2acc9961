"""Where this project lies, for commands that are typed elsewhere."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


def at_hand(path: str | Path) -> Path:
    """Return a path as it is, or the project's own of that name where only that exists.

    So `problems`, `models` and `outputs` are found from any folder, and none is made there.
    """
    given = Path(path)
    return given if given.exists() or not (PROJECT / given).exists() else PROJECT / given
