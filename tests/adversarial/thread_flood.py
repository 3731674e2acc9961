# Starts thousands of threads with the smallest of stacks, in Python and past it.
import ctypes
import threading
import time

threading.stack_size(32768)
FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000


def answer(values):
    started = 0
    try:
        for _ in range(3000):
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    libc = ctypes.CDLL(None)
    wait = ctypes.cast(libc.pause, ctypes.c_void_p)
    stacks = [ctypes.create_string_buffer(16384) for _ in range(1000)]
    for stack in stacks:
        top = (ctypes.addressof(stack) + 16000) & ~63
        started += libc.clone(wait, ctypes.c_void_p(top), FLAGS, None) > 0
    if started > 200:
        raise ValueError(f"a-secret-that-nobody-may-see: {started} threads")
    return values
