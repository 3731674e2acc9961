"""Unpack a meter's readings: variable-length integers that hold signed differences."""

from collections.abc import Iterator
from random import Random

ID = "medium/packed_readings"
TITLE = "Unpack readings stored as differences"
DIFFICULTY = "medium"
TOPICS = ("encoding", "binary data", "bit operations")
ENTRY_POINT = "unpack_readings"


def unpack_readings(data: bytes) -> list[int]:
    """Return the readings of a meter that are packed into bytes.

    The data is a row of numbers. Each number is cut into groups of 7 bits, the group of the
    lowest bits first, one group per byte: the byte's lower 7 bits are the group, and its
    highest bit is 1 in all bytes of the number except the last one. (A last group may be 0;
    numbers may have any size.)

    Each number stands for a signed difference: an even number n for n / 2, an odd number n
    for -(n + 1) / 2. So 0, 1, 2, 3, 4 stand for 0, -1, 1, -2, 2.

    The first reading is the first difference itself; each later one is the reading before
    plus its difference. Empty data holds no readings.

    Raise ValueError if the data ends within a number.

    >>> unpack_readings(bytes([20, 2, 3]))
    [10, 11, 9]
    >>> unpack_readings(bytes([0b10101100, 0b00000010]))
    [150]
    """
    readings = []
    reading = number = shift = 0
    for byte in data:
        number += (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            half, is_negative = divmod(number, 2)
            reading += -half - 1 if is_negative else half
            readings.append(reading)
            number = shift = 0
    if shift:
        raise ValueError("the data ends within a number")
    return readings


BASE_INPUTS = [
    (b"\x14\x02\x03",),
    (b"\xac\x02",),
    (b"",),
    (b"\x00\x01\x02\x03\x04",),
    (b"\x7f\x7e",),
    (b"\x80\x01\x81\x01",),
    (b"\xff\xff\x03\x07",),
    (b"\x80\x00\x82\x80\x00",),
    (b"\x14\x80",),
    (b"\xff",),
    (b"\x81\x82\x83\x04",),
    (b"\xfe\xff\xff\xff\xff\xff\xff\xff\x01\x03",),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    for byte in (0, 1, 2, 63, 64, 65, 126, 127, 128, 129, 254, 255):
        yield (bytes([byte]),)
        yield (bytes([byte, 1]),)
        yield (bytes([5, byte, byte, 0, 9]),)
    yield (bytes([128, 128, 128, 128, 128, 128, 128, 128, 128, 2]),)
    yield (bytes([255, 255, 255, 255, 255, 255, 255, 255, 255, 127]),)
    yield (bytes([128] * 30 + [1, 2]),)
    yield (bytes([128] * 30),)
    yield (bytes(range(128)),)
    yield (bytes(range(128)) + b"\x80",)
    yield (bytes([1] * 300),)
    yield (bytes([2] * 150 + [3] * 150),)
    for _ in range(100):
        packed = bytearray()
        for _ in range(random.randint(1, 8)):
            number = random.randrange(2 ** random.choice([2, 7, 8, 14, 15, 40]))
            while number >= 128:
                packed.append(number % 128 + 128)
                number //= 128
            packed.append(number)
        cut = random.choice([0, 0, 0, 0, 1])
        yield (bytes(packed[: len(packed) - cut]),)
