# Leaves shared memory behind, which no process owns.
import ctypes


def answer(values):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.shmget(4711, 1 << 20, 0o1666), ctypes.get_errno()
