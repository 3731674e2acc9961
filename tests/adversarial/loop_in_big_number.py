# One operation that takes for ever and lets no signal handler run in between.
def answer(values):
    return 7**7**9 % 3
