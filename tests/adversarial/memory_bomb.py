# Takes all memory.
def answer(values):
    hoard = []
    while True:
        hoard.append(bytearray(10**7))
