# Sleeps, and uses no CPU time at all.
import time


def answer(values):
    time.sleep(10**6)
