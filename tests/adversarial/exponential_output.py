# Returns few objects that unfold to very many.
def answer(values):
    unfolding = [0]
    for _ in range(60):
        unfolding = [unfolding, unfolding]
    return unfolding
