# Returns a list that contains itself.
def answer(values):
    endless = []
    endless.append(endless)
    return endless
