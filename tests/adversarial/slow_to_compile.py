# Has the compiler work without end while it is being loaded.
def answer(values):
    return values


while True:
    compile("a" + " if b else (a" * 60 + ")" * 60, "<bomb>", "eval")
    compile("x = (" + "1 + " * 2000 + "1)\n" * 1, "<bomb>", "exec")
