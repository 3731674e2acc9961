# Loops while it is loaded, deaf to signals, so that loading takes all the time that there is.
import signal
import threading

for number in range(1, 32):
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
