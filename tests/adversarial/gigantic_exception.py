# Raises with an endless message and a huge cause.
def answer(values):
    raise ValueError("x" * 10**8) from OSError("y" * 10**8)
