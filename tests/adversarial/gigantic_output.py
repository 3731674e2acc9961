# Returns more than anyone wants to read.
def answer(values):
    return list(range(10**7))
