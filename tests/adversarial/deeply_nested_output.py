# Returns lists within lists, deeper than any reader would recurse.
def answer(values):
    nested = []
    for _ in range(100000):
        nested = [nested]
    return nested
