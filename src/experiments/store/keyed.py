"""The stores that all runs share: generations and verdicts, each under a key.

The key is a digest of everything that decides the record, and each line has a checksum. Runs that
go on at the same time, on this machine or others, may share a store: see `segments`. What a power
cut leaves half-written is noticed by its checksum, dropped with a warning, and made again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from experiments.errors import ConfigError, StoreError, did_you_mean
from experiments.records import Generation, Verdict
from experiments.store.entries import Entry
from experiments.store.files import cannot_use, dump, to_generation, to_verdict
from experiments.store.segments import Segments

MODES = ("off", "read", "on")

_Record = TypeVar("_Record", Generation, Verdict)


class _KeyedStore(Generic[_Record]):
    """Records of all runs, by key; a context manager that closes it.

    Args:
        folder: made if it is missing (mode `on`).
        mode: `on` finds and keeps, `read` only finds, `off` does neither.
        segments: its files.
        decode: makes a record from what JSON gave.
        model: that what is kept is of.

    Raises:
        StoreError: the folder cannot be used.
    """

    def __init__(
        self,
        segments: Segments,
        mode: str,
        decode: Callable[[dict[str, Any]], _Record],
        model: str = "",
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"There is no cache mode '{mode}'", did_you_mean(mode, MODES))
        folder = segments.folder
        self._segments = segments
        self._mode = mode
        self._decode: Callable[[dict[str, Any]], _Record] = decode
        self._model = model
        if mode == "on":
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise cannot_use(folder, error) from error
            if not os.access(folder, os.W_OK | os.X_OK):
                raise StoreError(
                    f"The store {folder} cannot be written", "Set store=FOLDER or cache=read."
                )

    def close(self) -> None:
        """Say that nothing more is kept: what this process wrote may be merged with others'."""
        self._segments.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._segments.close(merges=failure is None)  # whoever interrupts a run does not wait

    def find(self, keys: Collection[str]) -> dict[str, _Record]:
        """Return the records that are here, by key.

        Raises:
            StoreError: a file cannot be read.
        """
        found: dict[str, _Record] = {}
        if self._mode != "off" and keys:
            for key, entry in self._segments.find(keys).items():
                with suppress(ValueError, TypeError, KeyError):  # a version that knows other values
                    found[key] = self._decode(json.loads(entry.body))
        return found

    def _append(self, key: str, record: _Record) -> None:
        if self._mode == "on":
            self._segments.append(Entry(key, time.time(), self._model, dump(record)))


class GenerationStore(_KeyedStore[Generation]):
    """Finished generations of all runs.

    Args:
        folder, mode: as for all stores.
        model: whose generations are kept from now on; said of them when the store is pruned.
    """

    def __init__(self, folder: Path, mode: str = "on", model: str = "") -> None:
        super().__init__(generations_in(folder), mode, to_generation, model)

    def find(self, keys: Collection[str]) -> dict[str, Generation]:
        """Return the generations that are here, marked as cached; of each key the first."""
        return {key: replace(each, cached=True) for key, each in super().find(keys).items()}

    def append(self, generation: Generation) -> None:
        """Keep a generation.

        Raises:
            StoreError: it could not be written; the store is as it was before.
        """
        self._append(generation.key, replace(generation, cached=False))


class VerdictStore(_KeyedStore[Verdict]):
    """Verdicts of all runs, of each key the last.

    Whose they were, and as which sample, the key does not say.
    """

    def __init__(self, folder: Path, mode: str = "on") -> None:
        super().__init__(verdicts_in(folder), mode, to_verdict)

    def append(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict.

        Raises:
            StoreError: it could not be written; the store is as it was before.
        """
        self._append(key, verdict)


def generations_in(folder: Path) -> Segments:
    """Return the files of a store of generations: of each key the first entry counts."""
    return Segments(folder, "generation", newest=False)


def verdicts_in(folder: Path) -> Segments:
    """Return the files of a store of verdicts: of each key the last entry counts."""
    return Segments(folder, "verdict", newest=True)
