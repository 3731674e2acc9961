# Wakes all processes of its group with signals, without end.
import os
import signal


def answer(values):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        os.kill(0, signal.SIGCHLD)
        os.kill(0, signal.SIGCONT)
