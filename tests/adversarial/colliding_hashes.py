# Returns sets and dicts whose items all have one hash, slow to build and to compare.
def answer(values):
    prime = 2**61 - 1
    return {number * prime: 0 for number in range(1, 3000)}
