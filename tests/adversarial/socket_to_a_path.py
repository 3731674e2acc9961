# Writes to sockets of the machine by their paths, through a pair that needs no connection.
import socket


def answer(values):
    had = []
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for path in ("/dev/log", "/run/systemd/notify", "\0harm", "nowhere"):
        for send in (
            lambda: ours.sendto(b"harm", path),
            lambda: ours.sendmsg([b"harm"], [], 0, path),
            lambda: ours.connect(path),
            lambda: ours.bind(path),
        ):
            try:
                send()
                had.append(path)
            except OSError as error:
                if error.errno != 1:
                    had.append(f"{path} {error}")
    if had:
        raise ValueError(f"a-secret-that-nobody-may-see: {had}")
    return values
