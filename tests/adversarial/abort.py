# Aborts, with a core dump where these are on.
import os


def answer(values):
    os.abort()
