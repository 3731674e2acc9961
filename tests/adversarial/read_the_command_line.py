# Looks for secrets in the command lines of all processes.
import glob


def answer(values):
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with open(path) as file:
            found.append(file.read())
    return found
