"""Frames are taken apart however they come, and none is longer than it may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.sandbox.frames import FrameError, Frames
from experiments.sandbox.worker.protocol import FRAME

LONGEST = {b"a": 0, b"b": 50}


def frame(kind: bytes, clock: int, payload: bytes) -> bytes:
    return FRAME.pack(kind, clock, len(payload)) + payload


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0, 300)))
def test_frames_come_whole_in_whatever_pieces(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(b"b", number, each) for number, each in enumerate(payloads))
    frames, found = Frames(LONGEST), []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(stream)], strict=True):
        found += frames(stream[start:end])
    assert found == [(b"b", number / 1e9, each) for number, each in enumerate(payloads)]


@pytest.mark.parametrize(
    "data", [frame(b"b", 0, b"x" * 51)[:17], frame(b"a", 0, b"x"), frame(b"?", 0, b""), b"z" * 17]
)
def test_a_frame_that_may_not_be_is_refused_by_its_head(data: bytes) -> None:
    frames = Frames(LONGEST)
    assert list(frames(frame(b"b", 1, b"fine"))) == [(b"b", 1e-9, b"fine")]
    with pytest.raises(FrameError):
        list(frames(data))
