# Sends tagged outputs past its executor: arrays, fractions and digests with monstrous numbers.
import marshal
import os
import struct

huge = 1 << 20_000_000
tags = [
    (..., "digest", huge, "x"),
    (..., "numpy", "<f8", (huge, 0), []),
    (..., "numpy", "\x1b]0;x\x07\ud800" * 1000, (1,) * 100, [1]),
    (..., "fraction", huge + 1, huge),
    (..., "range", -huge, huge, 7),
    (..., "decimal", "1e" + "9" * 9000),
    (..., "other", "\x1b]0;x\x07\ud800" * 1000),
]
numbers = iter(range(10**6))


def answer(values):
    body = marshal.dumps((..., tags[next(numbers) % len(tags)]), 2)
    rest = memoryview(struct.pack("=cQQ", b"V", 0, len(body)) + body)
    for descriptor in range(3, 64):
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            pass
    os._exit(0)
