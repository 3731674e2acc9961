"""Fills chat templates, in a process with limits: `python rendering.py`, a request on its input.

A template comes with a downloaded file and is a program: Jinja2's sandbox keeps it from files
and modules, and the limits of this process keep it from looping for ever and from filling the
memory. Names and behaviour are those of transformers, for which templates are written.

    → {"source": template, "variables": {...}, "today": "2024-07-26",
       "chats": [[{"role", "content"}, ...], ...]}
    ← {"texts": [...]} or {"failed": reason}

It imports nothing of this project, so that it starts quickly.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_SECONDS = 10
MEMORY_BYTES = 2**30
CHARACTERS = 4_000_000
"""The longest prompt: far more than any context holds."""

ALL_CHARACTERS = 64_000_000
"""The prompts of a run together, which the other side holds as well."""


class _Refused(Exception):
    """The template called `raise_exception`."""


class _Generation(Extension):
    """`{% generation %}`, which marks what an assistant said for training: passed through."""

    tags = {"generation"}  # noqa: RUF012 (Jinja2 declares it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return what stands between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def fill(
    source: str, variables: dict[str, Any], today: str, chats: list[list[dict[str, str]]]
) -> list[str]:
    """Return the prompts of some chats, up to where the assistant's turn begins.

    A template that refuses a system message gets its text at the head of the first user message.
    """
    environment = _environment()
    environment.globals["strftime_now"] = datetime.fromisoformat(today).strftime
    template = environment.from_string(source)

    left = ALL_CHARACTERS

    def filled(turns: list[dict[str, str]]) -> str:
        nonlocal left
        known = {"tools": None, "documents": None} | variables
        text = template.render(known | {"messages": turns, "add_generation_prompt": True})
        if len(text) > CHARACTERS:
            raise ValueError(f"it makes {len(text)} characters of one prompt")
        left -= len(text)
        if left < 0:
            count = len(chats)
            raise ValueError(f"it makes more than {ALL_CHARACTERS} characters of {count} prompts")
        return text

    return [_despite_system(filled, turns) for turns in chats]


def _despite_system(filled: Callable[[list[dict[str, str]]], str], turns: Any) -> str:
    try:
        return filled(turns)
    except _Refused:
        merged = _without_system(turns)
        if merged == turns:
            raise
        return filled(merged)


def _without_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    others = [dict(turn) for turn in turns if turn["role"] != "system"]
    if system and others:
        others[0]["content"] = "\n\n".join([*system, others[0]["content"]])
    return others


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _Generation],
    )
    environment.globals["raise_exception"] = _refuse
    environment.filters["tojson"] = _to_json
    return environment


def _refuse(message: str) -> NoReturn:
    raise _Refused(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _limit() -> None:
    """Limit what this process may use, as far as the system has such limits."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    _limit()
    reply: dict[str, Any]
    try:
        reply = {"texts": fill(**request)}
    except MemoryError:
        reply = {"failed": f"it takes more than {MEMORY_BYTES >> 20} MiB"}
    except Exception as error:  # it came with the file, and may raise anything
        reply = {"failed": str(error)[:1000] or type(error).__name__}
    json.dump(reply, sys.stdout)


if __name__ == "__main__":
    main()
