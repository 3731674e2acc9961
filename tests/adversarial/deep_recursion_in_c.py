# Recurses through functions written in C, which use the process's stack.
import functools
import sys

sys.setrecursionlimit(10**9)


@functools.lru_cache(maxsize=None)
def deeper(number):
    return deeper(number + 1)


def answer(values):
    return deeper(0)
