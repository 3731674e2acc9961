# Loops for ever and catches whatever is thrown at it.
def answer(values):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
