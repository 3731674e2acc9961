"""A search box: words, phrases, AND, OR, NOT and brackets."""

import re
from collections.abc import Iterator
from random import Random

ID = "hard/find_documents"
TITLE = "Search documents by a query"
DIFFICULTY = "hard"
TOPICS = ("query parsing", "recursive descent", "full-text search", "sets")
ENTRY_POINT = "find_documents"


def find_documents(documents: list[str], query: str) -> list[int]:
    """Return the positions (from 0, ascending) of the documents that a query finds.

    The words of a document are its longest runs of letters a-z, A-Z and digits 0-9. Case
    never matters. The terms of a query are

    - word: finds the documents that have this word;
    - word*: with a star right behind it, those with a word that begins so;
    - "some words": those with these words next to each other, in this order. All other
      characters between the quotes only separate words; there is at least one word.

    Terms are combined, from the strongest to the weakest, by

    - NOT x, or -x: the documents that x does not find;
    - x y, or x AND y: those that both find;
    - x OR y: those that at least one finds.

    Round brackets group. AND, OR and NOT are operators only in capital letters; "and" is a
    word. Spaces separate words and are otherwise optional. A query holds nothing else than
    letters, digits, spaces and * " - ( ).

    Raise ValueError if a query does not follow these rules: for example an empty query, an
    operator without something that it needs, a bracket or quote that is not closed, a star
    not right behind a word, or empty quotes.

    >>> find_documents(["Red wine", "White wine", "Red bricks"], "red -wine OR white")
    [1, 2]
    >>> find_documents(["Red wine", "White wine", "Red bricks"], '("red wine" OR brick*) NOT white')
    [0, 2]
    """
    tokens = re.findall(r'"[^"]*"|\w+\*?|\S', query)
    parser = _Parser([f" {' '.join(_words(text))} " for text in documents], tokens)
    found = parser.either()
    if parser.tokens:
        raise ValueError(f"{parser.tokens[0]} is not expected")
    return sorted(found)


def _words(text: str) -> list[str]:
    return re.findall("[a-z0-9]+", text.lower())


class _Parser:
    """Reads a query from the front; finds sets of documents.

    The documents are given as their words, with a space before, between and after them.
    """

    def __init__(self, documents: list[str], tokens: list[str]) -> None:
        self.documents = documents
        self.tokens = tokens

    def next_is(self, *tokens: str) -> bool:
        return bool(self.tokens) and self.tokens[0] in tokens

    def either(self) -> set[int]:
        found = self.both()
        while self.next_is("OR"):
            self.tokens.pop(0)
            found |= self.both()
        return found

    def both(self) -> set[int]:
        found = self.single()
        while self.tokens and not self.next_is("OR", ")"):
            if self.next_is("AND"):
                self.tokens.pop(0)
            found &= self.single()
        return found

    def single(self) -> set[int]:
        if not self.tokens:
            raise ValueError("the query ends too early")
        token = self.tokens.pop(0)
        if token in ("NOT", "-"):
            return set(range(len(self.documents))) - self.single()
        if token == "(":
            found = self.either()
            if not self.next_is(")"):
                raise ValueError("a bracket is not closed")
            self.tokens.pop(0)
            return found
        words = _words(token)
        if token in ("AND", "OR") or not words:
            raise ValueError(f"{token} is not expected")
        wanted = " " + " ".join(words) + ("" if token[-1] == "*" else " ")
        return {n for n, document in enumerate(self.documents) if wanted in document}


BASE_INPUTS = [
    ([], "wine"),
    (["Red wine", "White wine", "Red bricks"], "red -wine OR white"),
    (["Red wine", "White wine", "Red bricks"], '("red wine" OR brick*) NOT white'),
    (["a b", "b a", "a", "b", ""], "a AND b"),
    (["a b", "b a", "a", "b", ""], "NOT a NOT b OR a b"),
    (["a b", "b a", "a", "b", ""], "a (b OR a) OR -(a OR b)"),
    (["a b c", "a c b", "A-B/c!", "abc", "c a b"], '"a, b" AND "b C"'),
    (["car", "cars and carts", "scars", "bar"], "CAR* -car"),
    (["rock and roll", "rock or roll", "not rock"], "and OR Or or not"),
    (["a", "b"], ""),
    (["a", "b"], 'a OR ""'),
    (["a", "b"], "(a b"),
    (["a", "b"], "a) b"),
    (["a", "b"], "a AND OR b"),
    (["a", "and"], "AND a"),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    documents = [
        "a b",
        "b c",
        "a c b",
        "ab cab",
        "",
        "A. B? C!",
        "c b a b",
        "café 10 no. 7",
        "OR x",
    ]
    for query in (
        "OR", "a NOT", "-", "()", "*", "a *", "a**", '"', '"a', '""', '"-"', "a OR OR b", "a (",
        ")", "a OR", "a AND AND b", "(OR a)", "(a) OR", "a AND", '"a b', "NOT AND a", "(a AND) b",
        "( )", " ",
    ):  # fmt: skip
        yield (documents, query)
    for query in (
        "caf", "7 10", "1*", '"10 no 7"', '"no-7"', '"a b c"', '"b" "a b"', "a-b", "a - b", "--a",
        "NOT NOT a", "-NOT a", "NOT(a OR b)", "a AND -b", "((a))", "a*b", "ab*", "a(b)c", '"OR x"',
        '"or"', "x NOT or", '-"a b"', "  a   b ", '"c*"', "a OR b AND c", "b c OR a", '"a"b',
    ):  # fmt: skip
        yield (documents, query)

    def query(depth: int) -> str:
        kind = random.randint(0, 6) if depth else random.randint(0, 2)
        if kind < 2:
            return random.choice(["a", "b", "c", "A", "B", "ab"])
        if kind == 2:
            return random.choice(["a*", "c*", '"a b"', '"c b"', "b*"])
        if kind == 3:
            return random.choice(["NOT ", "-"]) + query(0)
        if kind == 4:
            return f"({query(depth - 1)})"
        joint = random.choice([" OR ", " ", " AND "])
        return query(depth - 1) + joint + query(depth - 1)

    for size in range(80):
        texts = [" ".join(random.choices(["a", "b", "c", "ab"], k=n)) for n in (0, 1, 2, 2, 3, 4)]
        wanted = query(1 + size // 25)
        if random.random() < 0.1:
            place = random.randrange(len(wanted) + 1)
            wanted = wanted[:place] + random.choice('()"*-') + wanted[place:]
        yield (texts, wanted)
