# Leaves a grandchild in a session of its own, so that nobody waits for it.
import os
import time


def answer(values):
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                time.sleep(1)
        os._exit(0)
    os.waitpid(child, 0)
    return None
