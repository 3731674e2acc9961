# Talks to others through a socket that has no file and, in many sandboxes, no wall.
import socket


def answer(values):
    server = socket.socket(socket.AF_UNIX)
    server.bind("\0experiments-adversarial-harm")
    server.listen()
    return "listening"
