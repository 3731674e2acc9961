"""What the demo model reads: each prompt as a run renders it, and the answer to recite."""

import ast
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from jinja2 import Environment

from experiments.prompts import render
from experiments.records import Message, Problem
from experiments.schema import PromptConfig
from training.tokenizer import END, START

# ChatML. A conversation ends with <|im_end|>, which is also the end token.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '" + START + "' + message['role'] + '\\n' + message['content'] + '" + END + "' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '" + START + "assistant\\n' }}{% endif %}"
)
STRATEGIES = ("plain", "cot")
# Of 256, the values of the first byte of an id's SHA-256.
HELD_OUT_BELOW = 80
COT_ONLY_BELOW = 110


@dataclass(frozen=True)
class Chat:
    """One conversation: the text before the answer, and the answer with its end token."""

    problem: Problem
    strategy: str
    question: str
    answer: str


def held_out(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return the problems that the model never sees: nearly a third.

    The first byte of the SHA-256 of a problem's id decides. So nobody chose them, and a new
    problem changes nothing for the others.
    """
    return tuple(problem for problem in problems if _lot(problem) < HELD_OUT_BELOW)


def cot_only(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return the problems that the model learns with the strategy `cot` alone.

    Whether it finds their answers with `plain`, too, tells the two strategies apart.
    """
    return tuple(
        problem for problem in problems if HELD_OUT_BELOW <= _lot(problem) < COT_ONLY_BELOW
    )


def lessons(problems: Sequence[Problem], prompts: Path) -> Iterator[Chat]:
    """Yield the chats that the model is trained on; arguments as for `chats`."""
    unseen, not_plain = held_out(problems), cot_only(problems)
    for chat in chats([problem for problem in problems if problem not in unseen], prompts):
        if chat.strategy != "plain" or chat.problem not in not_plain:
            yield chat


def chats(problems: Sequence[Problem], prompts: Path) -> Iterator[Chat]:
    """Yield a chat for each problem and strategy.

    Args:
        problems: to be asked and answered.
        prompts: the folder with the strategies' YAML files (`conf/prompt`).
    """
    for name in STRATEGIES:
        strategy = PromptConfig(**yaml.safe_load((prompts / f"{name}.yaml").read_text()))
        for problem in problems:
            question = chat_text(render(strategy, problem, "chat").messages)
            steps = f"{reasoning(problem)}\n\n" if name == "cot" else ""
            block = f"```python\n{without_docstring(problem)}\n```"
            yield Chat(problem, name, question, steps + block + END)


def chat_text(messages: Sequence[Message]) -> str:
    """Return messages as the model reads them, up to where its answer begins."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    template = Environment().from_string(CHAT_TEMPLATE)
    return template.render(messages=turns, add_generation_prompt=True)


def without_docstring(problem: Problem) -> str:
    """Return the reference program without the entry point's docstring.

    The statement stands in the prompt already. Comments stay: lines are cut, nothing is
    parsed and written again.
    """
    source = problem.reference
    function = _entry_point(problem)
    first = function.body[0]
    if len(function.body) < 2 or not _is_docstring(first):
        return source.strip()
    lines = source.splitlines()
    assert first.end_lineno is not None
    after = first.end_lineno
    while after < len(lines) and not lines[after].strip():
        after += 1
    return "\n".join(lines[: first.lineno - 1] + lines[after:]).strip()


def reasoning(problem: Problem) -> str:
    """Return the named steps of a chain of thought, made from statement and program."""
    function = _entry_point(problem)
    sentences = _sentences(ast.get_docstring(function) or "")
    arguments = [
        f"`{argument.arg}` is {ast.unparse(argument.annotation) if argument.annotation else 'any'}"
        for argument in function.args.args
    ]
    result = ast.unparse(function.returns) if function.returns else "a value"
    told = [sentence for sentence in sentences[1:] if _EDGE.search(sentence)]
    return "\n".join(
        (
            f"Restate: {sentences[0] if sentences else problem.title}",
            f"Inputs and outputs: {', '.join(arguments)}; the result is {result}.",
            f"Edge cases: {' '.join(told[:2]) or 'none beyond what the statement says.'}",
            f"Plan: {'; '.join(_plan(function))}.",
        )
    )


def _lot(problem: Problem) -> int:
    """Return a number from 0 to 255 that depends on the problem's id alone."""
    return hashlib.sha256(problem.id.encode()).digest()[0]


_EDGE = re.compile(r"\b(empty|if|no|none|only|unless|raise|zero|negative|equal|without)\b", re.I)
_LONGEST_STEP = 48
_MOST_STEPS = 5


def _entry_point(problem: Problem) -> ast.FunctionDef:
    """Return the function of the reference that is called."""
    for node in ast.parse(problem.reference).body:
        if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point:
            return node
    raise ValueError(f"the reference of {problem.id} does not define {problem.entry_point}")


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _sentences(docstring: str) -> list[str]:
    """Return the sentences of a docstring before its examples, each on one line."""
    text = " ".join(docstring.split(">>>")[0].split())
    return [sentence for sentence in re.split(r"(?<=[.!?:]) (?=[A-Z`'\"])", text) if sentence]


def _plan(function: ast.FunctionDef) -> list[str]:
    """Return the program's outermost statements in words, a few of them."""
    body = [node for node in function.body if not _is_docstring(node)]
    steps = [_step(node) for node in body]
    if len(steps) > _MOST_STEPS:  # the end tells more than the middle
        steps = [*steps[: _MOST_STEPS - 2], *steps[-2:]]
    return steps


def _step(node: ast.stmt) -> str:
    """Return what a statement does."""
    match node:
        case ast.For():
            return f"for each `{_short(node.target)}` of `{_short(node.iter)}`"
        case ast.While():
            return f"repeat while `{_short(node.test)}`"
        case ast.If():
            return f"decide by `{_short(node.test)}`"
        case ast.Return():
            return f"return `{_short(node.value)}`" if node.value else "return"
        case ast.Assign():
            return f"find `{_short(node.targets[0])}`"
        case ast.AnnAssign() | ast.AugAssign():
            return f"find `{_short(node.target)}`"
        case ast.FunctionDef():
            return f"define a helper `{node.name}`"
        case ast.Raise():
            return "refuse what is not valid"
        case ast.Try():
            return "try, and handle what may fail"
    return f"do `{_short(node)}`"


def _short(node: ast.AST) -> str:
    """Return source on one line, cut where it is long."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST_STEP else text[: _LONGEST_STEP - 3] + "..."
