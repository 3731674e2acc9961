"""Strategy + problem → prompt.

A strategy is one YAML file in `conf/prompt/`: Jinja2 templates for a system message, a
user message, and the source text that a base model goes on from. Templates see

    problem       id, title, difficulty, topics, entry_point and prompt (the statement)
    entry_point   the name of the function to write
    examples      of the docstring, each with `call` and `expected`

and nothing else: reference solutions and tests cannot leak into a prompt by a slip in a
template. A model's own chat template is not applied here; backends do that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from experiments.errors import ConfigError, did_you_mean
from experiments.records import Message, Problem, ProblemInfo, Prompt
from experiments.schema import PromptConfig

Kind = Literal["chat", "completion"]


@dataclass(frozen=True)
class Example:
    """One example of a docstring: what is called, and what it shows as its value."""

    call: str
    expected: str


def render(strategy: PromptConfig, problem: Problem, kind: Kind) -> Prompt:
    """Return the problem as the strategy puts it.

    White space around a message is dropped, and a message that comes out empty is left
    out. A completion prompt is kept to the letter, since its end decides the next token.

    Args:
        strategy: name and templates.
        problem: what is asked; only its statement reaches the templates.
        kind: `chat` fills `messages`, `completion` fills `completion`.

    Raises:
        ConfigError: a template is broken, uses a name that is not defined, or leaves
            nothing to say.
    """
    if kind not in ("chat", "completion"):
        raise ConfigError(
            f"A prompt cannot be of the kind '{kind}'", "Set model.kind to chat or completion."
        )
    if kind == "completion":
        text = _fill(strategy, "completion", problem)
        if not text.strip():
            raise _nothing_to_say(strategy, "completion")
        return Prompt(problem.id, problem.entry_point, completion=text)
    system = _fill(strategy, "system", problem).strip()
    user = _fill(strategy, "user", problem).strip()
    if not user:
        raise _nothing_to_say(strategy, "user")
    messages = [Message("system", system)] if system else []
    return Prompt(problem.id, problem.entry_point, messages=(*messages, Message("user", user)))


def examples(statement: str) -> tuple[Example, ...]:
    """Return the doctest examples (`>>> call`, then the value) of a problem's statement."""
    return tuple(_examples(statement.splitlines()))


_VARIABLES = ("entry_point", "examples", "problem")
_STATEMENT = tuple(ProblemInfo.__dataclass_fields__)
"""The part of a problem that a model may see."""

_DEFINED = f"Defined are: {', '.join(_VARIABLES)}; problem has {', '.join(_STATEMENT)}."
_OUR_NAME = re.compile(r"'?(?:[\w.]+\.)?ProblemInfo'? object")
_QUOTES = re.compile(r"\"{3}|'{3}")

# Immutable and sandboxed: a strategy is shared as a file and is data, not a program.
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


def _fill(strategy: PromptConfig, field: str, problem: Problem) -> str:
    """Return one template of a strategy, filled in."""
    where = f"The template '{field}' of the prompt strategy '{strategy.name}'"
    source = getattr(strategy, field)
    try:
        template, unknown = _compiled(source)
    except TemplateSyntaxError as error:
        raise ConfigError(
            f"{where} is no Jinja2: {error.message} (line {error.lineno} of the template)",
            _repair(strategy),
        ) from None
    if unknown:
        raise ConfigError(
            f"{where} uses '{unknown[0]}', which is not defined",
            f"{_closest(unknown[0], _VARIABLES)} {_DEFINED}",
        )
    statement = ProblemInfo(**{name: getattr(problem, name) for name in _STATEMENT})
    try:
        return template.render(
            problem=statement,
            entry_point=problem.entry_point,
            examples=examples(problem.prompt),
        )
    except Exception as error:  # a template may divide by zero: its author's mistake, not ours
        raise ConfigError(
            f"{where} failed on {problem.id}: {_reason(error)}",
            f"{_DEFINED} {_repair(strategy)}",
        ) from None


@lru_cache(maxsize=64)
def _compiled(source: str) -> tuple[Template, tuple[str, ...]]:
    """Return the template and the names that it uses and nobody defines."""
    used = meta.find_undeclared_variables(_ENVIRONMENT.parse(source))
    unknown = used - set(_VARIABLES) - set(_ENVIRONMENT.globals)
    return _ENVIRONMENT.from_string(source), tuple(sorted(unknown))


def _reason(error: Exception) -> str:
    """Return what went wrong in a template, without names of our classes."""
    text = error.message if isinstance(error, TemplateError) and error.message else str(error)
    return _OUR_NAME.sub("problem", text) or type(error).__name__


def _closest(name: str, known: tuple[str, ...]) -> str:
    """Return a hint if a known name is near, else nothing: `_DEFINED` lists them all."""
    hint = did_you_mean(name, known)
    return hint if hint.startswith("Did you mean") else ""


def _repair(strategy: PromptConfig) -> str:
    """Return where a template is corrected."""
    return f"Correct it in the file of '{strategy.name}' in conf/prompt/."


def _nothing_to_say(strategy: PromptConfig, field: str) -> ConfigError:
    """Return the error for a template that comes out empty."""
    return ConfigError(
        f"The prompt strategy '{strategy.name}' has nothing to say: '{field}' is empty",
        f"{_DEFINED} {_repair(strategy)}",
    )


def _examples(lines: list[str]) -> Iterator[Example]:
    """Yield the examples of a docstring; one without a value shows an empty one."""
    position = 0
    while position < len(lines):
        indentation, prompt, first = lines[position].partition(">>>")
        position += 1
        if not prompt or indentation.strip():
            continue
        call = [first.strip()]
        while position < len(lines) and lines[position].strip().startswith("..."):
            call.append(lines[position].strip()[3:].removeprefix(" ").rstrip())
            position += 1
        expected: list[str] = []
        while position < len(lines):
            shown, *ended = _QUOTES.split(lines[position].rstrip(), maxsplit=1)
            if not shown.strip() or shown.lstrip().startswith(">>>"):
                break
            expected.append(shown.removeprefix(indentation).rstrip())
            position += 1
            if ended:
                break
        yield Example("\n".join(call), "\n".join(expected))
