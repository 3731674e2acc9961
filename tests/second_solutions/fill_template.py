"""By translation into a Python function, which is then run."""

import re
from typing import Any


def fill_template(template: str, data: dict[str, object]) -> str:
    lines = ["def fill(scopes, out):"]
    blocks: list[str] = []

    def add(line: str) -> None:
        lines.append("    " * (1 + len(blocks)) + line)

    position = 0
    for tag in [*re.finditer(r"\{(\w+) ?(\w*)\}", template), None]:
        add(f"out.append({template[position : tag.start() if tag else None]!r})")
        if tag is None:
            break
        position = tag.end()
        match tag.groups():
            case "for", name:
                depth = len(blocks)
                add(f"rounds{depth} = look(scopes, {name!r})")
                add(f"for item in list(rounds{depth}):")
                blocks.append("for")
                add(f"scopes{depth} = scopes")
                add("scopes = [item, *scopes]")
            case "if", name:
                depth = len(blocks)
                add(f"rounds{depth} = look(scopes, {name!r}, None)")
                add(f"if rounds{depth}:")
                blocks.append("if")
            case "else" | "end" as keyword, _:
                if not blocks or (keyword == "else" and blocks[-1] == "else"):
                    raise ValueError
                if blocks[-1] == "for":
                    add(f"scopes = scopes{len(blocks) - 1}")
                add("pass")
                blocks.pop()
                if keyword == "else":
                    add(f"if not rounds{len(blocks)}:")
                    blocks.append("else")
            case name, _:
                add(f"out.append(str(look(scopes, {name!r})))")
    if blocks:
        raise ValueError
    namespace: dict[str, Any] = {"look": _look}
    exec("\n".join(lines), namespace)
    out: list[str] = []
    namespace["fill"]([data], out)
    return "".join(out)


def _look(scopes: list[dict[str, Any]], name: str, *default: object) -> Any:
    for scope in scopes:
        if name in scope:
            return scope[name]
    if default:
        return default[0]
    raise KeyError(name)
