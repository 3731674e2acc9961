# Recurses until the interpreter's stack gives way.
import sys

sys.setrecursionlimit(10**9)


def answer(values):
    return [answer(values)]
