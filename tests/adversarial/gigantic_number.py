# Returns a number that takes very long to be turned into digits.
def answer(values):
    return [1 << 30_000_000]
