"""Where this project lies, for commands that are typed elsewhere."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


def at_hand(path: str | Path) -> Path:
    """Return a path as it is where it exists, and else the project's own of that name.

    So `problems`, `models` and `outputs` are found from any folder, and none is made there.
    """
    given = Path(path)
    if given.is_absolute() or given.exists() or not (PROJECT / "run.py").is_file():
        return given
    return PROJECT / given
