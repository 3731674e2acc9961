# Returns a text that fills the memory that it is allowed.
def answer(values):
    return "x" * 100_000_000
