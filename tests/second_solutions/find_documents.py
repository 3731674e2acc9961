"""By operator precedence with two stacks, on lists of words."""

import re
from typing import Any

_STRENGTH = {"OR": 1, "AND": 2, "NOT": 3}


def find_documents(documents: list[str], query: str) -> list[int]:
    texts = [[word.lower() for word in re.findall("[A-Za-z0-9]+", text)] for text in documents]
    operators: list[str] = []
    tests: list[Any] = []

    def apply() -> None:
        operator = operators.pop()
        if operator == "(":
            raise ValueError
        last = tests.pop()
        if operator == "NOT":
            tests.append(lambda text: not last(text))
        else:
            first = tests.pop()
            combine = all if operator == "AND" else any
            tests.append(lambda text: combine([first(text), last(text)]))

    expects_term = True
    for token in _tokens(query):
        if token in ("AND", "OR", ")") and expects_term:
            raise ValueError
        if token not in ("AND", "OR", ")") and not expects_term:
            _push("AND", operators, apply)
        if token == "(":
            operators.append(token)
            expects_term = True
        elif token == ")":
            while operators and operators[-1] != "(":
                apply()
            if not operators:
                raise ValueError
            operators.pop()
            expects_term = False
        elif token == "NOT":
            operators.append(token)
            expects_term = True
        elif token in ("AND", "OR"):
            _push(token, operators, apply)
            expects_term = True
        else:
            tests.append(_test(token))
            expects_term = False
    if expects_term:
        raise ValueError
    while operators:
        apply()
    return [number for number, text in enumerate(texts) if tests[0](text)]


def _push(operator: str, operators: list[str], apply: Any) -> None:
    while operators and _STRENGTH.get(operators[-1], 0) >= _STRENGTH[operator]:
        apply()
    operators.append(operator)


def _tokens(query: str) -> list[str]:
    tokens = []
    while query := query.strip():
        if query[0] in "()":
            length = 1
            tokens.append(query[0])
        elif query[0] == "-":
            length = 1
            tokens.append("NOT")
        elif query[0] == '"':
            length = query.index('"', 1) + 1  # ValueError if there is none
            tokens.append(query[:length])
        else:
            length = 0
            while query[length : length + 1].isalnum():
                length += 1
            if length == 0:
                raise ValueError
            length += query[length : length + 1] == "*"
            word = query[:length]
            tokens.append(word if word in _STRENGTH else word.lower())
        query = query[length:]
    return tokens


def _test(token: str) -> Any:
    if token.endswith("*"):
        return lambda text: any(word[: len(token) - 1] == token[:-1] for word in text)
    wanted = re.sub("[^a-z0-9]", " ", token.lower()).split()
    if not wanted:
        raise ValueError
    count = len(wanted)
    return lambda text: wanted in [text[start:][:count] for start in range(len(text))]
