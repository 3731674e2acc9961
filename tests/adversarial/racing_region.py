# A thread scribbles over the shared memory while the host reads it.
import gc
import mmap
import random
import struct
import threading


def scribble(region):
    while True:
        frames, end = random.randrange(1 << 10), random.randrange(1 << 64)
        region[0:40] = struct.pack("=QQQQQ", frames, end, 0, random.randrange(1 << 62), 1)
        place = random.randrange(40, 4096)
        region[place : place + 25] = struct.pack("=cQQQ", b"V", 0, 1 << 63, 1 << 40)


def answer(values):
    for thing in gc.get_objects():
        if isinstance(getattr(thing, "memory", None), mmap.mmap):
            threading.Thread(target=scribble, args=(thing.memory,), daemon=True).start()
            break
    total = 0
    for number in range(100_000):
        total += number
    return [total]
