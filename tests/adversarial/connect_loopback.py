# Connects to a server on this machine.
import socket


def answer(values):
    with socket.create_connection(("127.0.0.1", 47614), timeout=1) as connection:
        connection.sendall(b"harm")
    return "connected"
