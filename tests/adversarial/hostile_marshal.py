# Sends bytes that no honest executor sends: code objects, references, endless lists.
import marshal
import os
import struct


def answer(values):
    bodies = [b"[\xff\xff\xff\x7f", b"r\x00\x00\x00\x00", marshal.dumps(answer.__code__)]
    bodies += [b"(\x01\x00\x00\x00" * 10000, b"l\xff\xff\xff\x7f", b"{N", b"", b"?"]
    stream = b"".join(struct.pack("=cQQ", b"V", 0, len(body)) + body for body in bodies)
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, stream)
        except OSError:
            pass
    os._exit(0)
