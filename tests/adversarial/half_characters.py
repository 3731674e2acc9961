# Tells halves of characters, which no file can hold, in outputs, names and messages.
found = iter(range(1000))


class Error(Exception):
    def __str__(self):
        return "\ud800 \udfff \x00 \ufffe"


def answer(values):
    if next(found) % 2:
        return ["\ud83d", {"\udc00": "\x00"}]
    raise Error("\ud800")
