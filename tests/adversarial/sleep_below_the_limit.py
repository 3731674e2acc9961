# Sleeps nearly as long as it may, for each input anew.
import time


def answer(values):
    time.sleep(0.25)
    return values
