# Connects to other machines, by name and by number.
import socket
import urllib.request


def answer(values):
    try:
        return urllib.request.urlopen("http://example.com", timeout=1).status
    except OSError:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            datagram.sendto(b"harm", ("8.8.8.8", 53))
        return "sent"
