"""Fill in a letter's placeholders."""

import re
from collections.abc import Iterator
from random import Random

ID = "medium/letter_template"
TITLE = "Fill in a letter's placeholders"
DIFFICULTY = "medium"
TOPICS = ("string processing", "templates", "regular expressions")
ENTRY_POINT = "fill_letter"

_ESCAPED = {"{{": "{", "}}": "}"}
_SPECIAL = re.compile(r"\{\{|\}\}|\{([A-Za-z0-9_]+)(?:\|([^{}]*))?\}|[{}]")


def fill_letter(template: str, values: dict[str, str]) -> str:
    """Return the template with its placeholders filled in.

    The template is read from left to right. What stands at a place with a brace is the
    first of these that fits:
    - `{{` is a single "{" of the letter, and `}}` a single "}".
    - `{name}` is the value of that name.
    - `{name|fallback}` is the value of that name, or the fallback if `values` has no such
      name. A value that is an empty string is a value. The fallback is taken as it is; it
      may be empty and may hold any characters except braces.
    - Anything else with a brace is a mistake.

    A name is one or more of the ASCII letters and digits and "_"; upper and lower case
    differ. All other text is kept. Braces in values have no meaning: they are inserted as
    they are.

    Raise ValueError for a mistake, and KeyError for a `{name}` that `values` does not have,
    whichever comes first from the left.

    >>> fill_letter("Dear {title|customer} {name},", {"name": "Ada"})
    'Dear customer Ada,'
    >>> fill_letter("{{{name}}} {a|}.", {"name": "{x}"})
    '{{x}} .'
    """

    def filled(match: re.Match[str]) -> str:
        if match[0] in _ESCAPED:
            return _ESCAPED[match[0]]
        name, fallback = match.groups()
        if name is None:
            raise ValueError(f"a brace out of place at {match.start()}")
        return values[name] if fallback is None else values.get(name, fallback)

    return _SPECIAL.sub(filled, template)


BASE_INPUTS = [
    ("Dear {title|customer} {name},", {"name": "Ada"}),
    ("{{{name}}} {a|}.", {"name": "{x}"}),
    ("", {}),
    ("no braces | at all", {"no": "yes"}),
    ("{a}{b}{a}", {"a": "1", "b": "{a}"}),
    ("{a|x} {b|y|z} {c| }", {"a": ""}),
    ("{missing}", {"Missing": "x"}),
    ("{name", {"name": "x"}),
    ("name}", {"name": "x"}),
    ("{} {name}", {"name": "x"}),
    ("{first name}", {"first name": "x"}),
    ("{a}}", {"a": "x"}),
    ("}}{{", {}),
    ("{no} {", {}),
]


def extra_inputs(random: Random) -> Iterator[tuple]:
    values = {"a": "1", "b_2": "two words", "C": "", "0": "zero", "é": "no", "a|b": "no"}
    for template in (
        "{", "}", "{{", "}}", "{{}}", "}{", "{}", "{{a}}", "{{{a}}}", "{{{{a}}}}", "{a}{{",
        "{a}}}", "{{a}", "{a}}{a}", "{|}", "{|x}", "{a|}", "{x|}", "{a||}", "{x||}", "{x|a|b}",
        "{x|{a}}", "{x|{{a}}}", "{ a}", "{a }", "{a |b}", "{é}", "{é|b}", "{x|é ü}", "{C}",
        "{C|x}", "{c}", "{c|x}", "{0}", "{b_2}", "{b-2}", "{b-2|x}", "{a\n}", "{x|\n}",
        "a\n{a}\nb", "{a}\n", "{x}{", "{{x}{", "{ {x}", "}{x}", "{x} }", "{a!r}", "{a:>5}",
        "{a.b}", "$a %(a)s", "|", "a|b", "{a|b", "a|b}", "{٣}", "{٣|x}", "{x|}}", "{x|}}}",
        "{a|{", "🙂{a}🙂", "\\{a}", "\\1{a}\\g<0>", "{a}" * 100,
    ):  # fmt: skip
        yield (template, values)
    yield ("{a}", {"a": "\\1 \\g<0> {a} {{ }}"})
    yield ("{a|{b}", {"a": "x"})
    pieces = ["{a}", "{b}", "{c|d}", "{a|e}", "{{", "}}", " ", "x", "|", "Grüße"]
    for _ in range(70):
        chosen = random.choices(pieces, k=random.randint(1, 7))
        if random.random() < 0.2:
            chosen.insert(random.randint(0, len(chosen)), random.choice(["{", "}", "{}", "{z}"]))
        names = random.sample(["a", "b", "c"], k=random.choice([2, 3, 3]))
        yield ("".join(chosen), {name: random.choice(["", "v", "{w}"]) for name in names})
