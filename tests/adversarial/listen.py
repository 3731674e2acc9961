# Opens a port and waits for the next program.
import socket


def answer(values):
    server = socket.create_server(("127.0.0.1", 47613))
    server.settimeout(1)
    return server.fileno()
