"""What an executor writes, taken apart without trusting it."""

from collections.abc import Iterator, Mapping

from experiments.sandbox.worker import protocol


class FrameError(ValueError):
    """What came is nothing that an executor writes."""


class Frames:
    """Takes frames out of what comes from a pipe.

    Args:
        longest: length of the payload that each kind of frame may have.
    """

    def __init__(self, longest: Mapping[bytes, int]) -> None:
        self._longest = longest
        self._data = bytearray()

    def __call__(self, data: bytes) -> Iterator[tuple[bytes, float, bytes]]:
        """Yield kind, CPU seconds and payload of each frame that is complete with this.

        Raises:
            FrameError: a frame is of no known kind, or longer than it may be; nothing of it is
                kept or waited for.
        """
        self._data += data
        at, size = 0, protocol.FRAME.size
        while len(self._data) - at >= size:
            kind, clock, length = protocol.FRAME.unpack_from(self._data, at)
            if length > self._longest.get(kind, -1):
                raise FrameError
            end = at + size + length
            if len(self._data) < end:
                break
            yield kind, clock / 1e9, bytes(self._data[at + size : end])
            at = end
        del self._data[:at]
