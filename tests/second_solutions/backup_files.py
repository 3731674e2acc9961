"""By translation of the rules into regular expressions for whole paths."""

import re


def files_to_back_up(paths: list[str], rules: list[str]) -> list[str]:
    compiled = []
    for rule in rules:
        includes = rule[0] == "!"
        compiled.append((re.compile(_expression(rule[1:] if includes else rule)), includes))
    kept = []
    for path in paths:
        places = [match.start() for match in re.finditer("/", path)]
        # folders are written with a slash at their end
        parts = [path[: place + 1] for place in places] + [path]
        if all(_included(part, compiled) for part in parts):
            kept.append(path)
    return kept


def _included(part: str, compiled: list[tuple[re.Pattern[str], bool]]) -> bool:
    for expression, includes in reversed(compiled):
        if expression.fullmatch(part):
            return includes
    return True


def _expression(pattern: str) -> str:
    end = "/?"
    if pattern[-1] == "/":
        pattern, end = pattern[:-1], "/"
    if "/" not in pattern:
        return "(.*/)?" + _name(pattern) + end
    if pattern[0] == "/":
        pattern = pattern[1:]
    names = pattern.split("/")
    expression = ""
    for name in names[:-1]:
        expression += "([^/]+/)*" if name == "**" else _name(name) + "/"
    last = "([^/]+/)*[^/]+" if names[-1] == "**" else _name(names[-1])
    return expression + last + end


def _name(pattern: str) -> str:
    wild = {"*": "[^/]*", "?": "[^/]"}
    return "(?=[^/])" + "".join(wild.get(letter, re.escape(letter)) for letter in pattern)
