# Sends bytes that no honest guest sends: code objects, references, endless lists.
import gc
import marshal
import mmap
import os
import struct


def answer(values):
    bodies = [b"[\xff\xff\xff\x7f", b"r\x00\x00\x00\x00", marshal.dumps(answer.__code__)]
    bodies += [b"(\x01\x00\x00\x00" * 100000, b"l\xff\xff\xff\x7f", b"{N", b"", b"?"]
    stream = struct.pack("=cQQQ", b"L", 0, 0, 0)
    for body in bodies:
        stream += struct.pack("=cQQQ", b"V", 0, 0, len(body)) + body
    for thing in gc.get_objects():
        for region in gc.get_referents(thing):
            if isinstance(region, mmap.mmap):
                region[40 : 40 + len(stream)] = stream
                region[:40] = struct.pack("=QQQQQ", 9, 40 + len(stream), 0, 0, 0)
                os._exit(0)
    return None
