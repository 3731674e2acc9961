"""Black out parts of a text that were found by several detectors."""

from collections.abc import Iterator
from random import Random

ID = "medium/redact_text"
TITLE = "Redact parts of a text"
DIFFICULTY = "medium"
TOPICS = ("string processing", "intervals", "privacy")
ENTRY_POINT = "redact_text"


def redact_text(text: str, spans: list[tuple[int, int, str]]) -> str:
    """Return the text with the given spans replaced by their labels.

    Each span (start, end, label) covers the characters from position `start` up to, but
    not including, `end`; positions count characters (code points) from 0. Spans come in any
    order and may overlap, contain one another, or be there more than once.

    Spans that overlap, directly or through other spans, are replaced together: the
    characters that they cover become one "[...]" which holds their labels, each once, in
    ascending order (by plain comparison of strings), joined by "+". Spans that merely touch
    do not overlap and are replaced one by one. All other characters are kept.

    Raise ValueError unless 0 <= start < end <= len(text) holds for every span.

    >>> redact_text("Call Ada at 555-1234.", [(12, 20, "PHONE"), (5, 8, "NAME")])
    'Call [NAME] at [PHONE].'
    >>> redact_text("ada@mail.org", [(0, 12, "MAIL"), (0, 3, "NAME"), (4, 12, "HOST")])
    '[HOST+MAIL+NAME]'
    >>> redact_text("AdaBob", [(0, 3, "NAME"), (3, 6, "NAME")])
    '[NAME][NAME]'
    """
    merged: list[tuple[int, int, set[str]]] = []
    for start, end, label in sorted(spans):
        if not 0 <= start < end <= len(text):
            raise ValueError(f"no span of this text: {start} to {end}")
        if merged and start < merged[-1][1]:
            first, last, labels = merged.pop()
            merged.append((first, max(last, end), {*labels, label}))
        else:
            merged.append((start, end, {label}))

    redacted = ""
    kept_from = 0
    for start, end, labels in merged:
        redacted += f"{text[kept_from:start]}[{'+'.join(sorted(labels))}]"
        kept_from = end
    return redacted + text[kept_from:]


BASE_INPUTS = [
    ("Call Ada at 555-1234.", [(12, 20, "PHONE"), (5, 8, "NAME")]),
    ("ada@mail.org", [(0, 12, "MAIL"), (0, 3, "NAME"), (4, 12, "HOST")]),
    ("AdaBob", [(0, 3, "NAME"), (3, 6, "NAME")]),
    ("nothing here", []),
    ("", []),
    ("", [(0, 0, "A")]),
    ("abcdef", [(1, 4, "X"), (2, 3, "X"), (3, 5, "A")]),
    ("Zoë lives in Köln 🙂", [(13, 17, "CITY"), (0, 3, "NAME"), (18, 19, "FACE")]),
    ("abcdefgh", [(5, 7, "C"), (0, 2, "A"), (3, 6, "B"), (0, 2, "D")]),
    ("abc", [(1, 1, "A")]),
    ("abc", [(-1, 1, "A")]),
    ("abc", [(0, 1, "B"), (2, 4, "A")]),
    ("abc", [(2, 1, "A")]),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ("a", [(0, 1, "A")])
    yield ("a", [(0, 1, "A"), (0, 1, "A")])
    yield ("a", [(0, 1, "b"), (0, 1, "B"), (0, 1, "a"), (0, 1, "")])
    yield ("a", [(0, 2, "A")])
    yield ("a", [(1, 2, "A")])
    yield ("a", [(1, 1, "A")])
    yield ("a", [(-1, 0, "A")])
    yield ("a", [(-1, 1, "A")])
    yield ("ab", [(0, 1, "A"), (1, 0, "B")])
    yield ("abcd", [(0, 4, "A"), (1, 2, "B"), (2, 3, "C"), (3, 4, "D")])
    yield ("abcd", [(0, 2, "A"), (2, 4, "B"), (1, 3, "C")])
    yield ("abcd", [(0, 2, "A"), (2, 4, "A")])
    yield ("abcdef", [(0, 5, "A"), (1, 2, "B"), (5, 6, "C"), (3, 4, "A")])
    yield ("[A]", [(1, 2, "B")])
    yield ("a\nb\tc", [(1, 2, "NEWLINE"), (3, 4, "TAB")])
    yield ("e\u0301🙂é", [(1, 2, "ACCENT"), (2, 3, "🙂")])
    yield ("x" * 300, [(n, n + 2, f"L{n % 3}") for n in range(0, 290, 3)])
    yield ("x" * 300, [(n, n + 4, f"L{n % 3}") for n in range(290, 0, -3)])
    for _ in range(130):
        length = random.randint(1, 14)
        text = "abcdefghijklmn"[:length]
        spans = []
        for _ in range(random.randint(0, 6)):
            start = random.randrange(length)
            end = min(length, start + random.randint(1, 4))
            spans.append((start, end, random.choice(["A", "B", "C", "b"])))
        if random.random() < 0.1:
            spans.append(random.choice([(length, length + 1, "A"), (0, 0, "A"), (-1, 1, "A")]))
            random.shuffle(spans)
        yield (text, spans)
