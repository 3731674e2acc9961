"""Generations and verdicts on disk: appended as they come, and found again.

Two kinds of file, both with one JSON object per line:

- the stores, shared by all runs: generations under the key of everything that decides their
  text, verdicts under the key of everything that decides them, each line with a checksum. Runs
  that go on at the same time may share them.
- a run's own `generations.jsonl` and `verdicts.jsonl`: plain records for people and tools.

A line is handed to the operating system whole, before the next step begins, so a killed
process loses nothing that it has told as done. Lines are not forced to the disk one by one
(a power cut may lose the last seconds); what such a cut leaves half-written is noticed by
its checksum, dropped with a warning, and made again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from experiments.errors import ConfigError, StoreError, did_you_mean
from experiments.records import Failure, FinishReason, Generation, Outcome, Verdict

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
                raise _cannot_use(folder, error) from error
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
        body = _dump(record)
        line = f'{{"v":1,"check":"{_checksum(key, body)}","key":"{key}","{self._name}":{body}}}\n'
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise _cannot_use(path, error) from error
        try:
            _append_line(descriptor, line.encode(), path)
        finally:
            os.close(descriptor)

    def _path(self, key: str) -> Path:
        return self._folder / f"{self._name}s-{key[:1]}.jsonl"

    def _read(self, path: Path, wanted: set[str]) -> Iterator[tuple[str, _Record]]:
        try:
            with path.open("rb") as file, _locked(file.fileno(), fcntl.LOCK_SH):
                content = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise _cannot_use(path, error) from error
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
        with suppress(OSError), path.open("r+b") as file, _locked(file.fileno(), fcntl.LOCK_EX):
            for start, line in damaged:
                file.seek(start)
                if file.read(len(line)) == line:  # nobody mended it in the meantime
                    file.seek(start)
                    file.write(b" " * (len(line) - 1) + b"\n")


class GenerationStore(_KeyedStore[Generation]):
    """Finished generations of all runs."""

    def __init__(self, folder: Path, mode: str = "on") -> None:
        super().__init__(folder, mode, "generation", _generation)

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
        super().__init__(folder, mode, "verdict", _verdict)

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


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Generation | Verdict], None]]:
    """Yield a function that appends a record to a run's file, each at once and whole.

    Raises:
        StoreError: the file cannot be written; a line that was begun is taken back.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise _cannot_use(path, error) from error
    try:
        yield lambda record: _append_line(descriptor, (_dump(record) + "\n").encode(), path)
    finally:
        os.close(descriptor)


def read_generations(path: Path) -> list[Generation]:
    """Return the generations in a run's file, in its order; none if it is missing.

    Raises:
        StoreError: the file cannot be read.
    """
    return list(_read_records(path, _generation))


def read_verdicts(path: Path) -> list[Verdict]:
    """Return the verdicts in a run's file, in its order; none if it is missing.

    Raises:
        StoreError: the file cannot be read.
    """
    return list(_read_records(path, _verdict))


def write_records(path: Path, records: Iterable[Generation | Verdict]) -> None:
    """Replace a run's file by these records; there is no moment with half a file.

    Raises:
        StoreError: it could not be written; the former file is untouched.
    """
    write_text(path, "".join(_dump(record) + "\n" for record in records))


def write_text(path: Path, text: str) -> None:
    """Replace a file of results; there is no moment with half a file.

    Raises:
        StoreError: it could not be written; the former file is untouched.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise _cannot_use(path, error) from error


_STORED = re.compile(
    rb'\{"v":1,"check":"(?P<check>[0-9a-f]{16})","key":"(?P<key>[0-9a-f]{64})",'
    rb'"(?:generation|verdict)":(?P<body>\{.*\})\}\n?'
)
_OTHER_VERSION = re.compile(rb'\{"v":(?!1,)\d+,.*\}\n')


def _append_line(descriptor: int, line: bytes, path: Path) -> None:
    """Append a line, or leave the file as it was; a torn end of a killed writer is closed."""
    with _locked(descriptor, fcntl.LOCK_EX):
        before = os.fstat(descriptor).st_size
        if before and os.pread(descriptor, 1, before - 1) != b"\n":
            line = b"\n" + line
        try:
            left = line
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, before)
            raise _cannot_use(path, error) from error
        except BaseException:  # Ctrl-C between two parts of a long line
            with suppress(OSError):
                os.ftruncate(descriptor, before)
            raise


@contextmanager
def _locked(descriptor: int, kind: int) -> Iterator[None]:
    """Hold a lock on the file; some network file systems have none, and go without."""
    held = True
    try:
        fcntl.flock(descriptor, kind)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        held = False
    try:
        yield
    finally:
        if held:
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _checksum(key: str, body: str) -> str:
    return hashlib.sha256(f"{key} {body}".encode()).hexdigest()[:16]


def _dump(record: Generation | Verdict) -> str:
    # ASCII only: a lone surrogate or an odd line separator in a model's text stays inside
    # its line, for every reader.
    return json.dumps(asdict(record), separators=(",", ":"))


def _read_records(path: Path, decode: Callable[[dict[str, Any]], _Record]) -> Iterator[_Record]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_use(path, error) from error
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield decode(json.loads(line))
        except (ValueError, TypeError, KeyError):
            log.warning("%s:%d: a damaged line was dropped.", path, number)


_FORMER_NAMES = {
    "seconds_waiting": "queue_seconds",
    "seconds_reading": "prefill_seconds",
    "seconds_decoding": "decode_seconds",
}
"""Names of fields in files of earlier versions, which stay readable."""


def _generation(data: dict[str, Any]) -> Generation:
    known = {field.name for field in fields(Generation)}
    data = {_FORMER_NAMES.get(name, name): value for name, value in data.items()}
    data = {name: value for name, value in data.items() if name in known}
    return Generation(**{**data, "finish_reason": FinishReason(data["finish_reason"])})


def _verdict(data: dict[str, Any]) -> Verdict:
    known = {field.name for field in fields(Verdict)}
    data = {name: value for name, value in data.items() if name in known}
    failure = Failure(**data["failure"]) if data.get("failure") else None
    outcomes = {"base": Outcome(data["base"]), "plus": Outcome(data["plus"])}
    return Verdict(**{**data, **outcomes, "failure": failure})


def _cannot_use(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"The disk is full: {path} could not be written",
            "Free some space and type the same command: what is done is kept.",
        )
    return StoreError(
        f"{path} cannot be used ({error.strerror or error})",
        "Check the folder and its permissions, or choose another one.",
    )
