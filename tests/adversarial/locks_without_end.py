# Has the kernel keep a lock for every other byte of a file.
import fcntl


def answer(values):
    with open("kept", "wb") as file:
        file.truncate(1 << 20)
        for place in range(0, 1 << 40, 2):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
