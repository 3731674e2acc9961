"""Runs in one file: a zip archive that is written the same each time, and read with suspicion.

    archive.json                what is in it, each file with its SHA-256
    report.html, report.md, figures/, race.json       of the sweep
    RUN/…                       the files of each run, without what belongs to a machine

Equal runs give equal bytes: files are in order, and times, owners and permissions are fixed. What
is read comes from somebody else. It is held against what such an archive may hold before anything
is written, and it is put in its place when all of it was found whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.errors import StoreError, masked
from experiments.store import reviews, runs
from experiments.store.files import cannot_use, draft_folder

FORMAT = 1
INDEX = "archive.json"

OF_A_RUN = (
    *(runs.SHARED, runs.MANIFEST, runs.METRICS, runs.AUDIT, runs.GENERATIONS, runs.VERDICTS),
    *(runs.SAMPLES, runs.PROBLEMS, runs.PROMPTS, runs.SANITIZED, reviews.REVIEWS, reviews.PLAN),
)
OF_A_SWEEP = ("report.html", "report.md", runs.RACE)

MOST_FILES = 5_000
MOST_BYTES = 2 * 2**30
LONGEST_NUMBER = 20
"""Digits."""

MOST_TIMES = 200
"""What is unpacked may be so many times as large as the archive, and ten megabytes. Text of models
is packed to a tenth; a bomb, to a thousandth."""

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_FOLDER = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_KNOWN = re.compile(
    rf"(?:{'|'.join(map(re.escape, (INDEX, *OF_A_SWEEP)))}|figures/{_FOLDER}\.svg"
    rf"|(?:{_FOLDER}/){{1,3}}(?:{'|'.join(map(re.escape, OF_A_RUN))}))"
)

_HINT = "It is the file that experiments export writes."


def pack(files: Mapping[str, Path], archive: Path) -> None:
    """Write files into an archive, in the order of their names. Passwords in addresses are masked.

    Args:
        files: by their names in the archive.
        archive: the file to write; a former one is replaced.

    Raises:
        StoreError: a file cannot be read, or the archive not written.
    """
    part = archive.with_name(f".{archive.name}.part")
    try:
        texts = {
            name: masked(files[name].read_text(encoding="utf-8")).encode() for name in sorted(files)
        }
        digests = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
        index = json.dumps({"format": FORMAT, "files": digests}, indent=1).encode()
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as writing:
            for name, text in {INDEX: index, **texts}.items():
                entry = zipfile.ZipInfo(name, _FIXED_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3
                entry.external_attr = 0o644 << 16
                writing.writestr(entry, text)
        part.replace(archive)
    except UnicodeDecodeError as error:
        raise StoreError(f"A file to export is no text: {error}") from None
    except OSError as error:
        raise cannot_use(archive, error) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def unpacked(archive: Path, beside: Path) -> Iterator[Path]:
    """Yield a folder with what is in an archive, which is gone in the end unless it was moved.

    Args:
        archive: may come from anybody.
        beside: the folder that the temporary one is made in.

    Raises:
        StoreError: it is no such archive, is damaged, or holds what it may not.
    """
    contents = _read(archive)
    with draft_folder(beside) as folder:
        for name, text in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
        yield folder


def is_archive(path: Path) -> bool:
    """Tell whether a file is a zip archive, damaged ones among them, by how it begins.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", _HINT) from None


def _read(archive: Path) -> dict[str, bytes]:
    """Return the files in an archive, but its index, after all that can be held against them."""
    try:
        with zipfile.ZipFile(archive) as reading:
            members = reading.infolist()
            _check(archive, members)
            texts = {each.filename: _content(archive, reading, each) for each in members}
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError,
    ) as error:  # fmt: skip
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StoreError(f"{archive} cannot be read: {reason}", _HINT) from None
    if INDEX not in texts:
        raise _refused(archive, f"it has no {INDEX}")
    index = _json(archive, INDEX, texts.pop(INDEX))
    if index.get("format") != FORMAT:
        raise _refused(archive, f"its format is {str(index.get('format'))[:20]}, not {FORMAT}")
    digests = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    if digests != index.get("files"):
        raise _refused(archive, "what is in it is not what it says is in it: it is damaged")
    for name, text in texts.items():
        if name.endswith(".json"):
            _json(archive, name, text)
        elif name.endswith(".jsonl"):
            for line in filter(None, map(bytes.strip, text.split(b"\n"))):
                _json(archive, name, line)
    return texts


def _check(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse members that no archive of runs has, by what the archive says of them."""
    if len(members) > MOST_FILES:
        raise _refused(archive, f"it holds {len(members):,} files, more than {MOST_FILES:,}")
    size = sum(each.file_size for each in members)
    if size > min(MOST_BYTES, archive.stat().st_size * MOST_TIMES + 10**7):
        raise _refused(archive, f"it would unpack to {size / 1e6:,.0f} MB")
    seen: set[str] = set()
    for each in members:
        name = each.filename
        shown = repr(name if len(name) < 80 else f"{name[:77]}...")
        if each.flag_bits & 0x1:
            raise _refused(archive, f"{shown} is encrypted")
        if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(archive, f"{shown} is packed in a way that export does not use")
        if stat.S_IFMT(each.external_attr >> 16) not in (0, stat.S_IFREG):
            raise _refused(archive, f"{shown} is no file, but a link or a folder")
        if not _KNOWN.fullmatch(name) or ".." in name:
            raise _refused(archive, f"{shown} is no file of a run")
        if name.casefold() in seen:
            raise _refused(archive, f"{shown} is there twice")
        seen.add(name.casefold())


def _content(archive: Path, reading: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's content; what it says of its size may be a lie."""
    with reading.open(member) as file:
        text = file.read(member.file_size + 1)
    if len(text) != member.file_size:
        raise _refused(archive, f"{member.filename!r} has another size than it says")
    return text


def _json(archive: Path, name: str, text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise _refused(archive, f"{name} is no JSON ({str(error)[:100]})") from None
    if not isinstance(content, dict):
        raise _refused(archive, f"{name} holds no names and values")
    return content


def _whole_number(digits: str) -> int:
    """Return a number that can be counted with: no run has longer ones.

    Raises:
        ValueError: it is longer.
    """
    if len(digits) > LONGEST_NUMBER:
        raise ValueError("a number is too long")
    return int(digits)


def _refused(archive: Path, reason: str) -> StoreError:
    return StoreError(f"{archive} is refused: {reason}", _HINT)
