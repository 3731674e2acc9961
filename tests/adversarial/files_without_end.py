# Makes empty files without end, each of which takes memory or a place on the disk.
import os


def answer(values):
    for number in range(3_000_000):
        os.close(os.open(str(number), os.O_CREAT | os.O_WRONLY))
        if number == 1_000_000:
            raise ValueError("a-secret-that-nobody-may-see: a million files")
    return values
