"""The lines of a shared store: a record under its key, and a checksum over all of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(
    rb'\{"v":[12],"check":"(?P<check>[0-9a-f]{16})","key":"(?P<key>[0-9a-f]{64})",'
    rb'(?:"time":(?P<time>\d+\.\d{3}),"model":(?P<model>"(?:[^"\\]|\\.)*"),)?'
    rb'"(?:generation|verdict)":(?P<body>\{.*\})\}\n'
)
_LATER_VERSION = re.compile(rb'\{"v":(?![12],)\d+,.*\}\n')
KEY = slice(41, 105)
"""Where the key stands in a line of either version."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as a store keeps it.

    Attributes:
        key: SHA-256 of everything that decides the record, in hexadecimal digits.
        time: when it was kept, in seconds since 1970; in lines of version 1, which do not say,
            when their file was last written.
        model: that a generation is of; empty where nobody said.
        body: the record as JSON, in ASCII.
    """

    key: str
    time: float
    model: str
    body: str

    def line(self, kind: str) -> bytes:
        """Return the entry as a line; `kind` says what the record is, for a reader."""
        said = [self.key, f"{self.time:.3f}", json.dumps(self.model), self.body]
        key, time, model, body = parts = [each.encode() for each in said]
        return b'{"v":2,"check":"%s","key":"%s","time":%s,"model":%s,"%s":%s}\n' % (
            _checksum(parts),
            key,
            time,
            model,
            kind.encode(),
            body,
        )


def read_entry(line: bytes, written: float) -> Entry | None:
    """Return what a line holds, None if it is damaged.

    Args:
        line: with its end.
        written: when its file was last written.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    parts = [match[name] for name in ("key", "time", "model", "body") if match[name]]
    if _checksum(parts) != match["check"]:
        return None
    return Entry(*_label(match, written), match["body"].decode())


def read_label(line: bytes, written: float) -> tuple[str, float, str] | None:
    """Return key, time and model of a line as `read_entry`, without its checksum's protection.

    It is for counting and sorting millions of lines.
    """
    match = _LINE.fullmatch(line)
    return None if match is None else _label(match, written)


def is_of_later_version(line: bytes) -> bool:
    """Return whether a later version of this project wrote a line: it is left alone."""
    return _LATER_VERSION.fullmatch(line) is not None


def _label(match: re.Match[bytes], written: float) -> tuple[str, float, str]:
    key, time, model = match.group("key", "time", "model")
    if time is None:
        return key.decode(), written, ""
    # Nearly all names are as they are in JSON, and there are millions of lines.
    name = json.loads(model) if b"\\" in model else model[1:-1].decode()
    return key.decode(), float(time), name


def _checksum(parts: Iterable[bytes]) -> bytes:
    return hashlib.sha256(b" ".join(parts)).hexdigest()[:16].encode()
