# Has its executor compute for long while it seems to write an output.
import sys


def slow(output):
    while True:
        pass


def answer(values):
    sys.modules["worker.outputs"]._tagged_payload = slow
    return [{answer}]
