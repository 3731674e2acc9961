"""Records as lines of JSON, and files that are replaced whole.

A line is handed to the operating system whole, before the next step begins, so a killed
process loses nothing that it has reported as done. Lines are not forced to the disk one by
one: a power cut may lose the last seconds.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import logging
import os
import re
import secrets
import socket
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from experiments.errors import StoreError, UserError, without
from experiments.records import Failure, FinishReason, Generation, Outcome, Verdict

log = logging.getLogger(__name__)

_Record = TypeVar("_Record")

HOST = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())
"""This machine, as a part of names of files."""

LONGEST_LINE = 1 << 26
MOST_BYTES = 1 << 31
"""Of a file of JSON lines: a few kilobytes may be packed gigabytes."""

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"""What file systems say that have no locks."""


def take_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Return whether a lock is had, without waiting: where a file system has none, it is."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        if error.errno not in NO_LOCKS:
            raise
        log.info("This file system has no locks: two runs may do the same work.")
    return True


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Generation | Verdict], None]]:
    """Yield a function that appends a record to a run's file, each at once and whole.

    Raises:
        StoreError: the file cannot be written; a line that was begun is taken back.
    """
    try:
        path.touch()
    except OSError as error:
        raise cannot_use(path, error) from error
    yield lambda record: append_lines(path, [dump(record)])


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines to a file that is made if it is missing, all of them or none.

    Several processes of one machine may append to the same file.

    Raises:
        StoreError: the file cannot be written.
    """
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _lock(descriptor)
            append_whole(descriptor, text.encode())
        finally:
            os.close(descriptor)  # which gives the lock back
    except OSError as error:
        raise cannot_use(path, error) from error


def read_lines(path: Path, decode: Callable[[dict[str, Any]], _Record]) -> list[_Record]:
    """Return the records in a file of JSON lines, in its order; none if it is missing.

    A damaged line, such as a killed run leaves at the end, is dropped with a warning.

    Raises:
        StoreError: the file cannot be read, or none of its lines can.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_use(path, error) from error
    records, damaged = [], []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            records.append(decode(json.loads(line.decode("utf-8"))))
        except (ValueError, TypeError, KeyError, AttributeError):
            damaged.append(number)
    if damaged and not records:
        raise StoreError(
            f"{path} cannot be read: none of its lines is a record in UTF-8",
            "Restore the file, or make the run again.",
        )
    for number in damaged:
        log.warning("%s:%d: a damaged line was dropped.", path, number)
    return records


def json_lines(path: Path, kind: type[UserError]) -> Iterator[tuple[str, bytes]]:
    """Yield each line of a file of JSON lines (`.jsonl`, `.jsonl.gz`) that has one, and its place.

    Args:
        path: of the file.
        kind: of the error that says that it cannot be read, or would fill the memory.

    Raises:
        UserError: of that kind.
    """
    reading = gzip.open if path.suffix == ".gz" else open
    number = size = 0
    try:
        with reading(path, "rb") as file:
            while line := file.readline(LONGEST_LINE + 1):
                number, size = number + 1, size + len(line)
                if len(line) > LONGEST_LINE or size > MOST_BYTES:
                    what = "longer than any file of problems or answers"
                    raise OSError(f"at line {number} it is {what}")
                if line.strip():
                    yield f"{path}, line {number}", line
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise kind(f"{path} cannot be read: {reason}", "Name a .jsonl file.") from None


def read_yaml(path: Path) -> Any:
    """Return a file of YAML as plain data, None if there is none.

    Nothing in it is resolved: what `${oc.env:TOKEN}` stands for is no part of a run.

    Raises:
        StoreError: the file cannot be read.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import AliasEvent, YAMLError, parse  # type: ignore[import-untyped]

    try:
        text = path.read_text(encoding="utf-8")
        if "&" in text and any(isinstance(event, AliasEvent) for event in parse(text)):
            raise ValueError("it has aliases, by which a small file can fill the memory")
        content = OmegaConf.load(StringIO(text))
        return without(OmegaConf.to_container(content, resolve=False), {})
    except FileNotFoundError:
        return None
    except (OmegaConfBaseException, YAMLError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StoreError(
            f"{path} cannot be read: {reason}", "Restore the file, or make the run again."
        ) from None


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_object(path: Path) -> dict[str, Any]:
    """Return the names and values in a JSON file; none where it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_records(path: Path, records: Iterable[Generation | Verdict]) -> None:
    """Replace a file of JSON lines by these records; there is no moment with half a file.

    Raises:
        StoreError: it could not be written; the former file is untouched.
    """
    write_text(path, "".join(dump(record) + "\n" for record in records))


def write_text(path: Path, text: str) -> None:
    """Replace a file of results; there is no moment with half a file.

    Halves of characters, which no file can hold, are written as JSON and Python escape them.

    Raises:
        StoreError: it could not be written; the former file is untouched.
    """
    # A process of another machine may have our number, and write the same file.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with draft.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise cannot_use(path, error) from error


def replaceable(path: Path, hint: str) -> Path:
    """Return the file that a path leads to, if it may be replaced by another.

    Args:
        path: as a person named it; may be a link, and need not be there.
        hint: what to type instead.

    Raises:
        StoreError: it is a folder, or a device or a pipe, which replacing would take away.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise StoreError(f"{path} is {kind}", hint)
    return path.resolve()


DRAFT = ".import-"
"""How the folders begin that are being filled; what a killed process left in one is no run."""


@contextmanager
def draft_folder(beside: Path) -> Iterator[Path]:
    """Yield a new folder to be filled, which is gone in the end unless it was moved.

    Args:
        beside: the folder that it is made in; made if it is missing.

    Raises:
        StoreError: it cannot be written.
    """
    made = not beside.exists()
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=beside, prefix=DRAFT) as scratch:
            folder = Path(scratch) / "runs"
            folder.mkdir()
            yield folder
    except OSError as error:
        raise cannot_use(beside, error) from error
    finally:
        if made and beside.exists() and not any(beside.iterdir()):
            beside.rmdir()


def append_whole(descriptor: int, lines: bytes) -> None:
    """Append lines, or leave the file as it was; a torn end of a killed writer is closed.

    Raises:
        OSError: they cannot be written.
    """
    before = os.fstat(descriptor).st_size
    if before and os.pread(descriptor, 1, before - 1) != b"\n":
        lines = b"\n" + lines
    try:
        left = lines
        while left:
            left = left[os.write(descriptor, left) :]
    except BaseException:  # a full disk, or Ctrl-C between two parts of a long line
        with suppress(OSError):
            os.ftruncate(descriptor, before)
        raise


def _lock(descriptor: int) -> None:
    """Lock a file for the one who appends; some network file systems cannot, and go without."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def dump(record: Generation | Verdict) -> str:
    """Return a record as a line of JSON."""
    # ASCII only: a lone surrogate or an odd line separator in a model's text stays inside
    # its line, for every reader.
    return json.dumps(asdict(record), separators=(",", ":"))


_FORMER_NAMES = {
    "seconds_waiting": "queue_seconds",
    "seconds_reading": "prefill_seconds",
    "seconds_decoding": "decode_seconds",
}
"""Names of fields in files of earlier versions, which stay readable."""


def known_fields(record: type[Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return what a record has of some plain data; fields of later versions are left out."""
    names = {field.name for field in fields(record)}
    return {name: value for name, value in data.items() if name in names}


def to_generation(data: dict[str, Any]) -> Generation:
    """Return a generation from plain data."""
    data = {_FORMER_NAMES.get(name, name): value for name, value in data.items()}
    data = known_fields(Generation, data)
    return Generation(**{**data, "finish_reason": FinishReason(data["finish_reason"])})


def to_verdict(data: dict[str, Any]) -> Verdict:
    """Return a verdict from plain data."""
    data = known_fields(Verdict, data)
    failure = Failure(**data["failure"]) if data.get("failure") else None
    outcomes = {"base": Outcome(data["base"]), "plus": Outcome(data["plus"])}
    return Verdict(**{**data, **outcomes, "failure": failure})


def cannot_use(path: Path, error: OSError) -> StoreError:
    """Return the error that says why a file cannot be used, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"The disk is full: {path} could not be written",
            "Free some space and type the same command: what is done is kept.",
        )
    return StoreError(
        f"{path} cannot be used ({error.strerror or error})",
        "Check the folder and its permissions, or choose another one.",
    )
