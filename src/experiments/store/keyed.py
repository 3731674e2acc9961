"""The stores that all runs share: generations and verdicts, each under a key.

The key is a digest of everything that decides the record, and each line has a checksum. Runs that
go on at the same time may share a store. What a power cut leaves half-written is noticed by its
checksum, dropped with a warning, and made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from experiments.errors import ConfigError, StoreError, did_you_mean
from experiments.records import Generation, Verdict
from experiments.store.files import (
    append_lines,
    cannot_use,
    dump,
    locked,
    to_generation,
    to_verdict,
)

log = logging.getLogger(__name__)

MODES = ("off", "read", "on")

_Record = TypeVar("_Record", Generation, Verdict)


class _KeyedStore(Generic[_Record]):
    """Records of all runs, by key.

    Args:
        folder: made if it is missing (mode `on`).
        mode: `on` finds and keeps, `read` only finds, `off` does neither.
        name: of one record, for files and their lines.
        decode: makes a record from what JSON gave.

    Raises:
        StoreError: the folder cannot be used.
    """

    def __init__(
        self, folder: Path, mode: str, name: str, decode: Callable[[dict[str, Any]], _Record]
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"There is no cache mode '{mode}'", did_you_mean(mode, MODES))
        self._folder = folder
        self._mode = mode
        self._name = name
        self._decode: Callable[[dict[str, Any]], _Record] = decode
        if mode == "on":
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise cannot_use(folder, error) from error
            if not os.access(folder, os.W_OK | os.X_OK):
                raise StoreError(
                    f"The store {folder} cannot be written", "Set store=FOLDER or cache=read."
                )

    def _find(self, keys: Collection[str]) -> Iterator[tuple[str, _Record]]:
        """Yield the records that are here, of each key the oldest first."""
        if self._mode == "off":
            return
        wanted = set(keys)
        for path in sorted({self._path(key) for key in wanted}):
            yield from self._read(path, wanted)

    def _append(self, key: str, record: _Record) -> None:
        if self._mode != "on":
            return
        body = dump(record)
        line = f'{{"v":1,"check":"{_checksum(key, body)}","key":"{key}","{self._name}":{body}}}'
        append_lines(self._path(key), [line])

    def _path(self, key: str) -> Path:
        return self._folder / f"{self._name}s-{key[:1]}.jsonl"

    def _read(self, path: Path, wanted: set[str]) -> Iterator[tuple[str, _Record]]:
        try:
            with path.open("rb") as file, locked(file.fileno(), fcntl.LOCK_SH):
                content = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_use(path, error) from error
        damaged = []
        start = 0
        for line in content.splitlines(keepends=True):
            if line.strip():
                match = _STORED.fullmatch(line)
                if match is None or not line.endswith(b"\n"):
                    if not _OTHER_VERSION.match(line):
                        damaged.append((start, line))
                elif (key := match["key"].decode()) in wanted:
                    record = self._intact(key, match)
                    if record is None:
                        damaged.append((start, line))
                    else:
                        yield key, record
            start += len(line)
        if damaged:
            self._drop(path, damaged)

    def _intact(self, key: str, match: re.Match[bytes]) -> _Record | None:
        """Return the stored record, or None where its line was damaged."""
        try:
            body = match["body"].decode()
            if _checksum(key, body) != match["check"].decode():
                return None
            return self._decode(json.loads(body))
        except (ValueError, TypeError, KeyError):
            return None

    def _drop(self, path: Path, damaged: list[tuple[int, bytes]]) -> None:
        """Overwrite damaged lines with blanks, in place, so that appending runs go on."""
        log.warning(
            "%s: %d damaged %s dropped; what is missing is made again.",
            path,
            len(damaged),
            "entry was" if len(damaged) == 1 else "entries were",
        )
        if self._mode != "on":
            return
        with suppress(OSError), path.open("r+b") as file, locked(file.fileno(), fcntl.LOCK_EX):
            for start, line in damaged:
                file.seek(start)
                if file.read(len(line)) == line:  # nobody mended it in the meantime
                    file.seek(start)
                    file.write(b" " * (len(line) - 1) + b"\n")


class GenerationStore(_KeyedStore[Generation]):
    """Finished generations of all runs."""

    def __init__(self, folder: Path, mode: str = "on") -> None:
        super().__init__(folder, mode, "generation", to_generation)

    def find(self, keys: Collection[str]) -> dict[str, Generation]:
        """Return the generations that are here, marked as cached; of each key the first.

        Raises:
            StoreError: a file cannot be read.
        """
        found: dict[str, Generation] = {}
        for key, generation in self._find(keys):
            found.setdefault(key, replace(generation, cached=True))
        return found

    def append(self, generation: Generation) -> None:
        """Keep a generation.

        Raises:
            StoreError: it could not be written; the store is as it was before.
        """
        self._append(generation.key, replace(generation, cached=False))


class VerdictStore(_KeyedStore[Verdict]):
    """Verdicts of all runs. Whose they were, and as which sample, the key does not say."""

    def __init__(self, folder: Path, mode: str = "on") -> None:
        super().__init__(folder, mode, "verdict", to_verdict)

    def find(self, keys: Collection[str]) -> dict[str, Verdict]:
        """Return the verdicts that are here; of each key the last.

        Raises:
            StoreError: a file cannot be read.
        """
        return dict(self._find(keys))

    def append(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict.

        Raises:
            StoreError: it could not be written; the store is as it was before.
        """
        self._append(key, verdict)


_STORED = re.compile(
    rb'\{"v":1,"check":"(?P<check>[0-9a-f]{16})","key":"(?P<key>[0-9a-f]{64})",'
    rb'"(?:generation|verdict)":(?P<body>\{.*\})\}\n?'
)
_OTHER_VERSION = re.compile(rb'\{"v":(?!1,)\d+,.*\}\n')


def _checksum(key: str, body: str) -> str:
    return hashlib.sha256(f"{key} {body}".encode()).hexdigest()[:16]
