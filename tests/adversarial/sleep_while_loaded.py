# Sleeps while it is loaded, and again for each input at which it dies.
import os
import time

time.sleep(1.0)


def answer(values):
    os._exit(0)
