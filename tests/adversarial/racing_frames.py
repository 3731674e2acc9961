# A thread writes garbage into every pipe while the replies are written.
import os
import random
import struct
import threading


def scribble():
    while True:
        head = struct.pack("=cQQ", random.choice([b"V", b"O", b"E"]), random.randrange(1 << 62), 3)
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, head + b"N" * random.randrange(9))
            except OSError:
                pass


def answer(values):
    threading.Thread(target=scribble, daemon=True).start()
    total = 0
    for number in range(100_000):
        total += number
    return [total]
