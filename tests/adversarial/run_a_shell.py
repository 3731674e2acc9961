# Starts other programs.
import os
import subprocess


def answer(values):
    try:
        return subprocess.run(["/bin/sh", "-c", "id"], capture_output=True).stdout
    except OSError:
        return os.system("id")
