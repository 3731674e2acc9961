"""A small template language with loops and conditions: parsed first, then filled in."""

import re
from collections.abc import Iterator
from random import Random

ID = "hard/fill_template"
TITLE = "Fill a template with loops and conditions"
DIFFICULTY = "hard"
TOPICS = ("template engines", "parsing", "recursion", "scopes")
ENTRY_POINT = "fill_template"


def fill_template(template: str, data: dict[str, object]) -> str:
    """Return a template filled with data.

    Between its tags, a template holds plain text, which is kept as it is. Braces occur only
    around tags, which are

    - "{name}": the value of that name, as `str` gives it;
    - "{for name}...{end}": the value is a list of dictionaries; what is inside is filled once
      for each of them. There, the names of the dictionary count first, then those around;
    - "{if name}...{end}": what is inside is filled once if the value is true in Python's
      sense, and left out if it is not or if there is no such name.

    Both blocks may have an "{else}" before their end: what is between "{else}" and "{end}" is
    filled once if the inside was not filled at all. Blocks may be nested.

    A name consists of lower-case letters, and none is "for", "if", "else" or "end". The tags
    are written exactly as above, with one space after "for" and "if".

    Raise ValueError, whatever the data, if blocks are not closed in order: an "{end}" or
    "{else}" outside of any block, a second "{else}" in a block, a block without its "{end}".
    Raise KeyError if a "{name}" or "{for name}" that has to be filled has no value.

    >>> fill_template("Hi {name}!{if paid} Thanks.{else} Please pay.{end}", {"name": "Bo"})
    'Hi Bo! Please pay.'
    >>> fill_template("{for rows}{n}{unit} {end}", {"unit": "kg", "rows": [{"n": 1}, {"n": 25}]})
    '1kg 25kg '
    """
    tokens = iter(re.split(r"(\{[^}]*\})", template))
    parts, closed_by = _parse(tokens)
    if closed_by:
        raise ValueError(f"{closed_by} outside of any block")
    return _filled(parts, data)


_Part = tuple[str, str, list, list]  # kind, text or name, inside, otherwise


def _parse(tokens: Iterator[str]) -> tuple[list[_Part], str]:
    """Return the parts up to the next "{end}" or "{else}" of this level, and that tag."""
    parts: list[_Part] = []
    for token in tokens:
        kind, _, name = token.strip("{}").partition(" ")
        if token in ("{end}", "{else}"):
            return parts, token
        if not token.startswith("{"):
            parts.append(("text", token, [], []))
        elif not name:
            parts.append(("value", kind, [], []))
        else:
            inside, closed_by = _parse(tokens)
            otherwise: list[_Part] = []
            if closed_by == "{else}":
                otherwise, closed_by = _parse(tokens)
            if closed_by != "{end}":
                raise ValueError(f"{token} is not closed")
            parts.append((kind, name, inside, otherwise))
    return parts, ""


def _filled(parts: list[_Part], scope: dict) -> str:
    filled = ""
    for kind, name, inside, otherwise in parts:
        if kind == "text":
            filled += name
        elif kind == "value":
            filled += str(scope[name])
        else:
            rounds = scope[name] if kind == "for" else [{}] * bool(scope.get(name))
            filled += "".join(_filled(inside, scope | names) for names in rounds)
            filled += "" if rounds else _filled(otherwise, scope)
    return filled


BASE_INPUTS = [
    ("", {}),
    ("No tags: a, b\n", {"a": 1}),
    ("Hi {name}!{if paid} Thanks.{else} Please pay.{end}", {"name": "Bo"}),
    ("{for rows}{n}{unit} {end}", {"unit": "kg", "rows": [{"n": 1}, {"n": 25}]}),
    ("{for rows}{n}{else}none{n}{end}.", {"n": "?", "rows": []}),
    ("{if a}{if b}both{else}a{end}{else}{if b}b{end}{end}", {"a": 1, "b": 1}),
    ("{if a}{if b}both{else}a{end}{else}{if b}b{c}{end}{end}", {"a": "", "b": [0], "c": None}),
    ("{if a}{x}{else}{y}{end}", {"a": 0, "x": 1}),
    ("{if a}x{end}{for a}y{end}", {}),
    ("{if no}{x}{for x}y{end}{end}-", {}),
    ("{a}{end}", {}),
    ("{else}", {}),
    ("{if a}1{else}2{else}3{end}", {"a": 1}),
    ("{for a}{if b}{end}", {"a": []}),
    (
        "{for a}{n}{for b}{n}{m}{end}{if b}+{end}{end}",
        {"n": 0, "a": [{"b": [{"m": 7}, {"n": 3, "m": 8}]}, {"n": 5, "b": []}]},
    ),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    yield ("{x}", {})
    yield ("{x}{x} {x}", {"x": "{x}"})
    yield ("if a end for {a} else", {"a": -1})
    yield ("{for a}{b}{end}", {"a": [{"b": 1}, {"c": 2}]})
    yield ("{for a}{b}{end}{b}", {"a": [{"b": 1}]})
    yield ("{for a}{for a}{n}{end}{end}", {"a": [{"a": [{"n": 1}]}, {"n": 2, "a": [{}]}]})
    yield ("{for a}{if b}{b}{else}-{end}{end}", {"b": 9, "a": [{"b": 0}, {}, {"b": "é\n"}]})
    yield ("{if a}", {"a": 0})
    yield ("{for a}{else}", {"a": []})
    yield ("{if a}{end}{end}", {"a": 0})
    yield ("{if a}" * 30 + "x" + "{end}" * 30, {"a": True})
    yield ("{for a}<" * 3 + "{n}" + ">{end}" * 3, {"a": [{"n": 1}, {"n": 2}]})
    data_sets: list[dict[str, object]] = [
        {"a": 1, "b": "", "rows": [{"a": 0, "b": "B"}, {"b": 2, "rows": []}]},
        {"a": 0, "b": "text", "rows": []},
        {"a": False, "b": None, "rows": [{"rows": [{"a": 5}, {"b": 6}]}]},
        {"a": "A", "rows": [{}, {}]},
    ]

    def block(depth: int) -> str:
        text = ""
        for _ in range(random.randint(1, 3)):
            kind = random.choice(["text", "value", "for", "if", "if"]) if depth else "value"
            if kind == "text":
                text += random.choice([" ", "x", "end", ", "])
            elif kind == "value":
                text += random.choice(["{a}", "{a}", "{b}"])
            else:
                name = "rows" if kind == "for" else random.choice(["a", "b", "rows", "c"])
                text += f"{{{kind} {name}}}" + block(depth - 1)
                if random.random() < 0.5:
                    text += "{else}" + block(depth - 1)
                text += "{end}" if random.random() < 0.98 else random.choice(["", "{else}"])
        return text

    for size in range(120):
        yield (block(1 + size // 50), random.choice(data_sets))
