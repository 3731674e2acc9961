"""Finds lines by key in a file that is in the order of keys.

Keys are digests, so a key's place in the file is about its place among all digests. Each look
reads a piece there and tells on which side of it the key is: some three looks find one in
gigabytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from experiments.store.entries import KEY

LOOK_BYTES = 16 << 10
"""Read at each look, unless a line is longer."""

_DIGITS = re.compile(rb"[0-9a-f]{64}")
_BEFORE_KEY = KEY.start - len('"key":"')


def lines_with(content: BinaryIO, size: int, keys: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines with some keys, which are in order; where one is damaged, all lines."""
    start = _Mark(0, 0.0)
    try:
        for key in keys:
            start, line = _sorted_line(content.fileno(), key, start, _Mark(size, 1.0))
            if line:
                yield line
    except ValueError:
        content.seek(0)
        yield from content


class _Mark(NamedTuple):
    """Where a line begins in a file, and where its key is among all digests, from 0 to 1."""

    place: int
    share: float


def _sorted_line(descriptor: int, key: bytes, low: _Mark, high: _Mark) -> tuple[_Mark, bytes]:
    """Return the line with a key, empty if there is none, and where larger keys may begin.

    Args:
        descriptor: of the file.
        key: what is looked for.
        low: all lines before have smaller keys.
        high: all lines from here on have larger ones.

    Raises:
        ValueError: the file is damaged here.
    """
    share = _share(key)
    length = LOOK_BYTES
    looks = 0
    while low.place < high.place:
        looks += 1
        expected = 0.5  # every fourth time, should keys not be spread evenly
        if looks % 4 and high.share > low.share:
            expected = (share - low.share) / (high.share - low.share)
        middle = low.place + int(expected * (high.place - low.place))
        at = max(low.place, min(middle - length // 2, high.place - length))
        piece = os.pread(descriptor, min(length, high.place - at), at)
        if len(piece) < min(length, high.place - at) or high.place - low.place < KEY.stop:
            raise ValueError("the file is shorter than it was")
        first = 0 if at == low.place else piece.find(b"\n") + 1
        last = piece.rfind(b"\n", 0, max(0, len(piece) - KEY.stop)) + 1
        if (at > low.place and not first) or len(piece) - first < KEY.stop:
            length *= 2  # no line begins in it
            continue
        last = max(first, last)
        least, largest = _key_in(piece, first), _key_in(piece, last)
        if key < least:
            high = _Mark(at + first, _share(least))
        elif key > largest and (at + last > low.place and at + len(piece) < high.place):
            low = _Mark(at + last, _share(largest))
        elif key > largest and at + len(piece) < high.place:
            length *= 2  # a long line fills it
        else:
            found = piece.find(b'"key":"' + key, first)
            low = _Mark(at + first, _share(least))
            return low, _line_at(descriptor, at + found - _BEFORE_KEY) if found >= 0 else b""
    return low, b""


def _key_in(piece: bytes, start: int) -> bytes:
    key = piece[start:][KEY]
    if not _DIGITS.fullmatch(key):
        raise ValueError(f"{key!r} is no key")
    return key


def _share(key: bytes) -> float:
    return int(key[:13], 16) / 16**13


def _line_at(descriptor: int, start: int) -> bytes:
    line = b""
    while b"\n" not in line:
        more = os.pread(descriptor, LOOK_BYTES, start + len(line))
        if not more:
            break
        line += more
    return line.partition(b"\n")[0] + b"\n"
