# Leaves links, pipes and sockets that would turn a careless clean-up against the machine.
import os
import socket


def answer(values):
    for number, target in enumerate(("/", "/tmp", "/root", "/home", "/usr", "..", "../packages")):
        os.symlink(target, f"link-{number}")
    os.mkdir("locked", 0o300)
    os.symlink("/", "locked/all")
    os.mkdir("dead", 0)
    for trap in (
        lambda: os.mkfifo("pipe"),
        lambda: os.link("/usr/bin/env", "hard"),
        lambda: socket.socketpair()[0].bind("socket"),
        lambda: os.rename("locked", "\udcff\n"),
    ):
        try:
            trap()
        except OSError:
            pass
    return values
