# Loops for ever while it is being loaded.
while True:
    pass


def answer(values):
    return None
