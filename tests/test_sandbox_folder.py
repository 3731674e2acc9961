"""Removing what programs leave, however they left it."""

import os
from pathlib import Path

from experiments.sandbox.worker.folder import remove


def test_folders_deeper_than_any_path_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("down", dir_fd=here)
        below = os.open("down", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    remove(str(folder))
    assert not folder.exists()


def test_links_are_not_followed_and_locked_folders_are_opened(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    folder = tmp_path / "left"
    (folder / "locked" / "below").mkdir(parents=True)
    (folder / "link").symlink_to(kept)
    (folder / "locked" / "file").symlink_to(kept / "file")
    (folder / "removed-0").mkdir()
    (folder / "full" / "inner").mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    (folder / "locked").chmod(0)
    folder.chmod(0)
    remove(str(folder))
    assert not folder.exists()
    assert (kept / "file").exists()
    assert kept.stat().st_mode & 0o777


def test_what_is_not_there_needs_no_removing(tmp_path: Path) -> None:
    remove(str(tmp_path / "nothing"))
