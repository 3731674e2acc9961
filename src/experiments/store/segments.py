"""The files of a shared store, which many processes on many machines write and read at once.

A network file system may ignore locks, and mix what two machines append to one file. So nothing
here rests on either: a file is written by the one process that made it, under a name that no
other has, and what is merged gets a new name before the old files go.

| file | what it is |
|---|---|
| `NAME-HOST-PID-RANDOM.open.jsonl` | the process that made it appends to it |
| `NAME-HOST-PID-RANDOM.jsonl` | that process is done with it |
| `NAME-HOST-PID-RANDOM.sorted.jsonl` | merged from others, in the order of keys; never changed |
| `NAME-0.jsonl` … `NAME-f.jsonl` | of earlier versions, by the first digit of the keys |

Keys are found in a sorted file by interpolation, since digests are spread evenly; other files are
read whole, line by line. Small files are merged when there are many, and merged ones again, so
that a store of any size has some dozens of files. A process may be killed at any moment, and two
may merge the same files: entries are then there twice, which the next merge ends.
"""

from __future__ import annotations

import errno
import heapq
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from experiments.store import searching
from experiments.store.entries import (
    KEY,
    Entry,
    is_of_later_version,
    read_entry,
    read_label,
)
from experiments.store.files import HOST, append_whole, cannot_use, sync

log = logging.getLogger(__name__)

OPEN, SORTED, DONE = ".open.jsonl", ".sorted.jsonl", ".jsonl"

IDLE_SECONDS = 86_400.0
"""A file that its writer left open, as a killed one does, is taken as done after so long."""

MANY = 8
"""So many files of about the same size are merged."""

MOST = 64
"""Files that are merged at once: each is open meanwhile."""

SMALL_BYTES = 4 << 20
"""Files are of about the same size up to here, and then up to each `MANY` times as much."""

TOLD_BYTES = 1 << 30
"""A merge of so much, which happens once in a million generations, takes a minute: it is told."""

GONE = (errno.ENOENT, errno.ESTALE)


@dataclass(frozen=True)
class Found:
    """A file of the store at one moment.

    Attributes:
        is_done: nobody writes to it any more.
    """

    path: Path
    bytes: int
    written: float
    is_done: bool

    @property
    def is_sorted(self) -> bool:
        """Whether it is in the order of keys, each of them once."""
        return self.path.name.endswith(SORTED)


class Segments:
    """The files of one store.

    Args:
        folder: where they are.
        kind: of its records, `generation` or `verdict`.
        newest: of several entries under one key the newest counts; else the oldest.
    """

    def __init__(self, folder: Path, kind: str, newest: bool) -> None:
        self.folder = folder
        self.kind = kind
        self._newest = newest
        self._own: Path | None = None
        self._process = 0

    def find(self, keys: Collection[str]) -> dict[str, Entry]:
        """Return the entries that are here, by key.

        Raises:
            StoreError: a file cannot be read.
        """
        wanted = sorted({key.encode() for key in keys})
        found: dict[str, Entry] = {}
        for file in self.files():
            for entry in _search(file, wanted):
                known = found.setdefault(entry.key, entry)
                if entry.time >= known.time if self._newest else entry.time < known.time:
                    found[entry.key] = entry
        return found

    def files(self) -> Iterator[Found]:
        """Yield the files, until two listings in a row are alike.

        So whoever reads them all misses nothing that is renamed or merged meanwhile: it is then in
        a file with a new name. One listing alone may miss both names of a file, the new one where
        it has been already and the old one where it comes too late.

        Raises:
            StoreError: the folder cannot be read.
        """
        seen: set[Path] = set()
        before: set[Path] | None = None
        while (listed := {file.path: file for file in self._listed()}).keys() != before:
            before = set(listed)
            for path in listed:
                if path not in seen:
                    seen.add(path)
                    yield listed[path]

    def append(self, entry: Entry) -> None:
        """Add an entry to the file of this process, which is made for the first.

        Raises:
            StoreError: it cannot be written; the file is as it was before.
        """
        line = entry.line(self.kind)
        try:
            if self._own is None or self._process != os.getpid():
                self._begin()
            try:
                self._write(line)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                self._begin()  # it was idle for so long that others merged it
                self._write(line)
        except OSError as error:
            raise cannot_use(self._own or self.folder, error) from error

    def close(self, merges: bool = True) -> None:
        """Give the file of this process its final name, and merge files if there are many."""
        if self._own is None or self._process != os.getpid():
            return
        with suppress(OSError):  # it stays open, and is taken as done when it was idle for long
            self._own.rename(self._own.with_name(self._own.name.removesuffix(OPEN) + DONE))
        self._own = None
        try:
            if merges:
                self.merge()
        except OSError as error:
            log.warning("Files of %s were not merged (%s).", self.folder, error.strerror or error)

    def merge(self) -> None:
        """Merge files of about the same size wherever there are many.

        Raises:
            OSError: a file cannot be read or written; nothing is lost.
        """
        if not to_merge(self._listed()):
            return
        with self.alone() as is_alone:
            left: set[Path] = set()
            while is_alone:
                chosen = to_merge(file for file in self._listed() if file.path not in left)
                if not chosen:
                    break
                if (size := sum(file.bytes for file in chosen)) > TOLD_BYTES:
                    log.info("Merging files of %s: %.1f GB.", self.folder, size / 1e9)
                left.update(self._merge(chosen))

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Yield whether no other process merges or prunes; two would only do the work twice."""
        sign = self.folder / f".{self.kind}s.merging"
        for left_over in (sign, *self.folder.glob(f".{self.kind}s-*.part")):
            with suppress(OSError):
                if time.time() - left_over.stat().st_mtime > IDLE_SECONDS:
                    left_over.unlink()  # of a process that was killed
        try:
            os.close(os.open(sign, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            yield False
            return
        try:
            yield True
        finally:
            sign.unlink(missing_ok=True)

    def rewrite(self, file: Found, is_kept: Callable[[str, float, str], bool]) -> None:
        """Replace a file that is done by one with the entries that are kept, if there are any.

        Args:
            file: the file.
            is_kept: of an entry's key, time and model.

        Raises:
            OSError: it cannot be read or written; nothing is lost.
        """
        with (
            file.path.open("rb") as content,
            self._draft(SORTED if file.is_sorted else DONE) as out,
        ):
            for line in content:
                entry = read_entry(line, file.written)
                if entry is None:
                    out.write(line if is_of_later_version(line) else b"")
                elif is_kept(entry.key, entry.time, entry.model):
                    out.write(entry.line(self.kind))
        self._remove(file)

    def _merge(self, chosen: Sequence[Found]) -> list[Path]:
        """Replace files by a sorted one; return those that were left alone."""
        left: list[Path] = []
        merged: list[Found] = []
        with ExitStack() as stack:
            sources = []
            for file in chosen:
                try:
                    content = stack.enter_context(file.path.open("rb"))
                except FileNotFoundError:  # another process merged it
                    continue
                source = _lines(content, file, self.kind)
                if source is None:
                    left.append(file.path)
                    continue
                merged.append(file)
                sources.append(source)
            with self._draft(SORTED) as out:
                for _, same in groupby(heapq.merge(*sources), key=itemgetter(0)):
                    lines = [line for _, _, line in same]
                    out.write(lines[-1 if self._newest else 0])
        for file in merged:
            self._remove(file)
        return left

    @contextmanager
    def _draft(self, ending: str) -> Iterator[BinaryIO]:
        """Yield a file that gets its name when it is whole and on the disk; an empty one none."""
        path = self._new_path(ending)
        draft = path.with_name(f".{path.name}.part")
        try:
            with draft.open("xb", buffering=1 << 20) as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            if draft.stat().st_size:
                draft.rename(path)
                sync(self.folder)
        finally:
            draft.unlink(missing_ok=True)

    def _remove(self, file: Found) -> None:
        """Remove a file whose entries are elsewhere now, unless it has grown since."""
        with suppress(FileNotFoundError):
            if file.path.stat().st_size == file.bytes:
                file.path.unlink()

    def _listed(self) -> list[Found]:
        """Return the files that are here now."""
        former = re.compile(rf"{self.kind}s-[0-9a-f]{re.escape(DONE)}")
        now = time.time()
        found = []
        try:
            with os.scandir(self.folder) as entries:
                for each in entries:
                    if not each.name.startswith(f"{self.kind}s-") or not each.name.endswith(DONE):
                        continue
                    try:
                        state = each.stat()
                    except FileNotFoundError:
                        continue
                    is_shared = each.name.endswith(OPEN) or former.fullmatch(each.name)
                    is_done = not is_shared or now - state.st_mtime > IDLE_SECONDS
                    path = self.folder / each.name
                    found.append(Found(path, state.st_size, state.st_mtime, is_done))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise cannot_use(self.folder, error) from error
        return sorted(found, key=lambda file: file.path.name)

    def _new_path(self, ending: str) -> Path:
        return self.folder / f"{self.kind}s-{HOST}-{os.getpid()}-{secrets.token_hex(6)}{ending}"

    def _begin(self) -> None:
        """Make a file for this process alone."""
        self._own, self._process = self._new_path(OPEN), os.getpid()
        os.close(os.open(self._own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))

    def _write(self, line: bytes) -> None:
        """Append to the file of this process, which is opened for each line.

        Closing it hands the line to the server of a network file system, which may refuse it only
        then.
        """
        assert self._own is not None
        descriptor = os.open(self._own, os.O_RDWR | os.O_APPEND)
        try:
            append_whole(descriptor, line)
        finally:
            os.close(descriptor)


def to_merge(files: Iterable[Found]) -> list[Found]:
    """Return the files to be merged next: a large one that is not sorted, or many of a size."""
    done = [file for file in files if file.is_done]
    large = [file for file in done if not file.is_sorted and file.bytes > SMALL_BYTES]
    if large:
        return large[:1]
    levels: dict[int, list[Found]] = {}
    for file in done:
        level, most = 0, SMALL_BYTES
        while file.bytes > most:
            level, most = level + 1, most * MANY
        levels.setdefault(level, []).append(file)
    return next((found[:MOST] for _, found in sorted(levels.items()) if len(found) >= MANY), [])


def _lines(content: BinaryIO, file: Found, kind: str) -> Iterator[tuple[str, float, bytes]] | None:
    """Return a file's entries in the order of keys, each as a line; None if it has others' lines.

    Damaged ones are left out.
    """
    if file.is_sorted:
        return (
            (label[0], label[1], line)
            for line in content
            if (label := read_label(line, file.written)) is not None
        )
    places = []
    start = 0
    for line in content:
        if is_of_later_version(line):
            return None
        if (label := read_label(line, file.written)) is not None:
            places.append((label[0], label[1], start))
        start += len(line)
    places.sort()

    def lines() -> Iterator[tuple[str, float, bytes]]:
        for key, when, place in places:
            content.seek(place)
            if entry := read_entry(content.readline(), file.written):
                yield key, when, entry.line(kind)

    return lines()


def _search(file: Found, wanted: Sequence[bytes]) -> Iterator[Entry]:
    """Yield a file's entries under some keys, which are in order; damaged ones are told."""
    damaged = 0
    try:
        with file.path.open("rb") as content:
            lines: Iterable[bytes] = content
            if file.is_sorted and file.bytes > len(wanted) * searching.LOOK_BYTES:
                lines = searching.lines_with(content, file.bytes, wanted)
            keys = set(wanted)
            for line in lines:
                if line[KEY] not in keys:
                    if not (line.startswith(b'{"v":') and line.endswith(b"}\n")):
                        damaged += _is_damaged(line)
                elif entry := read_entry(line, file.written):
                    yield entry
                else:
                    damaged += _is_damaged(line)
    except OSError as error:
        if error.errno in GONE:  # what it held is in a file with a new name
            return
        raise cannot_use(file.path, error) from error
    if damaged:
        log.warning(
            "%s: %d damaged %s dropped; what is missing is made again.",
            file.path,
            damaged,
            "entry was" if damaged == 1 else "entries were",
        )


def _is_damaged(line: bytes) -> bool:
    """Return whether a line that holds no entry once held one.

    One without its end is being written, or was when its writer was killed; blanks are what
    earlier versions made of damaged lines.
    """
    return line.endswith(b"\n") and bool(line.strip()) and not is_of_later_version(line)
