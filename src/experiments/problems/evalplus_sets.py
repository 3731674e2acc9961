"""HumanEval, HumanEval+, MBPP and MBPP+, through the `evalplus` package.

`evalplus` downloads its sets on first use and keeps them in the user's cache folder. On a
machine without a network, HUMANEVAL_OVERRIDE_PATH and MBPP_OVERRIDE_PATH name the unpacked
files. The base set and the "plus" set of a name have the same problems; the base set has no
extra inputs.

HumanEval's prompts are given as they are. MBPP's are a statement and an assertion in a
docstring, without a signature; here that docstring is put below the signature of the
reference, so that all data sets ask for the same thing: finish this function.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from experiments.errors import DatasetError, did_you_mean
from experiments.judge.compare import COMPARISONS
from experiments.problems.own import imports_of
from experiments.problems.source import needed, parse
from experiments.records import Dataset, Problem

_VERSION = 1
"""To be raised when the same data give other problems than before."""

_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class _Source:
    """Where one of EvalPlus's sets comes from."""

    module: str
    variable: str
    getter: str
    hasher: str
    prefix: str
    file: str
    url: str


_HUMANEVAL = _Source(
    "evalplus.data.humaneval",
    "HUMANEVAL_OVERRIDE_PATH",
    "get_human_eval_plus",
    "get_human_eval_plus_hash",
    "HumanEval/",
    "HumanEvalPlus",
    "https://github.com/evalplus/humanevalplus_release/releases",
)
_MBPP = _Source(
    "evalplus.data.mbpp",
    "MBPP_OVERRIDE_PATH",
    "get_mbpp_plus",
    "get_mbpp_plus_hash",
    "Mbpp/",
    "MbppPlus",
    "https://github.com/evalplus/mbppplus_release/releases",
)
_SETS = {
    "humaneval": (_HUMANEVAL, False),
    "humaneval_plus": (_HUMANEVAL, True),
    "mbpp": (_MBPP, False),
    "mbpp_plus": (_MBPP, True),
}

_COMPARISON = {task: name for name, tasks in COMPARISONS.items() for task in tasks}
"""The judge's names for EvalPlus's special oracles, by task."""

_NOT_NONE = ("check_str", "text_match_three", "text_starta_endb")
"""Entry points whose output only has to exist, where the reference's does."""


def load_evalplus(name: str) -> Dataset:
    """Return one of EvalPlus's sets.

    Args:
        name: which set: `humaneval`, `humaneval_plus`, `mbpp` or `mbpp_plus`.

    Raises:
        DatasetError: there is no such set, or it is not here and cannot be fetched.
    """
    if name not in _SETS:
        raise DatasetError(f"EvalPlus has no data set '{name}'", did_you_mean(name, _SETS))
    source, plus = _SETS[name]
    tasks, checksum = _tasks(source)
    problems = tuple(_problem(task, plus) for task in tasks)
    return Dataset(
        name=name,
        digest=hashlib.sha256(f"{_VERSION} {name} {checksum}".encode()).hexdigest(),
        problems=problems,
        preload=imports_of(problem.reference for problem in problems),
    )


def is_at_hand(name: str) -> bool:
    """Tell whether a set can be loaded without a network."""
    source, _ = _SETS[name]
    if os.environ.get(source.variable):
        return True
    from appdirs import user_cache_dir  # type: ignore[import-untyped] # as evalplus does

    return any(Path(user_cache_dir("evalplus")).glob(f"{source.file}-*.jsonl"))


def _problem(task: dict[str, Any], plus: bool) -> Problem:
    if task["task_id"].startswith(_MBPP.prefix):
        prompt = _mbpp_prompt(task)
        reference = task["canonical_solution"]
    else:
        prompt = task["prompt"]
        reference = task["prompt"] + task["canonical_solution"]
    extra = task["plus_input"] if plus else ()
    return Problem(
        id=task["task_id"],
        entry_point=task["entry_point"],
        prompt=prompt,
        reference=reference,
        base_inputs=tuple(tuple(arguments) for arguments in task["base_input"]),
        extra_inputs=tuple(tuple(arguments) for arguments in extra),
        atol=task["atol"],
        comparison=comparison_of(task),
    )


def comparison_of(task: dict[str, Any]) -> str:
    """Return the judge's name for how EvalPlus compares the outputs of a task."""
    if task["task_id"].startswith(_MBPP.prefix) and task["entry_point"] in _NOT_NONE:
        return "not_none"
    return _COMPARISON.get(task["task_id"], "equal")


def _mbpp_prompt(task: dict[str, Any]) -> str:
    """Return the statement below the signature of the reference."""
    tree = parse(task["canonical_solution"])
    function = next(
        node
        for node in reversed(tree.body)
        if isinstance(node, ast.FunctionDef) and node.name == task["entry_point"]
    )
    function.body = [ast.Pass()]
    function.decorator_list = []
    before = [
        part
        for part in needed(ast.Module([*tree.body], []), [function.name])
        if part is not function
    ]
    signature = ast.unparse(function).splitlines()[0]
    statement = task["prompt"].strip().removeprefix('"""').removesuffix('"""').strip()
    lines = statement.splitlines()
    docstring = [f'"""{lines[0]}', *lines[1:], '"""']
    opening = "".join(f"{ast.unparse(part)}\n" for part in before)
    body = "".join(f"    {line}".rstrip() + "\n" for line in docstring)
    return f"{opening}\n\n{signature}\n{body}" if opening else f"{signature}\n{body}"


def _tasks(source: _Source) -> tuple[list[dict[str, Any]], str]:
    """Return the tasks of a set and a checksum of its file."""
    named = os.environ.get(source.variable)
    try:
        module = import_module(source.module)
        setattr(module, source.variable, named or None)
        with contextlib.redirect_stdout(sys.stderr), _quick_failure():
            tasks = list(getattr(module, source.getter)().values())
            checksum = str(getattr(module, source.hasher)())
    except ImportError as error:
        raise DatasetError(
            f"The package evalplus cannot be imported: {error}", "Type: make install-run"
        ) from None
    except OSError as error:
        raise _not_here(source, named, error) from None
    except (ValueError, KeyError, TypeError, AssertionError, AttributeError) as error:
        raise _damaged(source, named, error) from None
    if not tasks or not tasks[0]["task_id"].startswith(source.prefix):
        raise _damaged(source, named, "it holds other tasks")
    return tasks, checksum


def _not_here(source: _Source, named: str | None, error: OSError) -> DatasetError:
    if named:
        return DatasetError(
            f"{source.variable} names {named}, which cannot be read: {error.strerror or error}",
            "Name the unpacked .jsonl file, or unset it to have evalplus download the data.",
        )
    reason = getattr(error, "reason", None) or error
    return DatasetError(
        f"The tasks {source.prefix}* are not on this machine and cannot be downloaded ({reason})",
        f"Connect to a network; or fetch the .jsonl.gz from {source.url}, unpack it and set "
        f"{source.variable} to the file.",
    )


def _damaged(source: _Source, named: str | None, error: object) -> DatasetError:
    if named:
        return DatasetError(
            f"{source.variable} names {named}, which is no file of the tasks {source.prefix}*: "
            f"{error}",
            f"Fetch it again from {source.url} and unpack it.",
        )
    module = sys.modules["evalplus.data.utils"]
    return DatasetError(
        f"The tasks {source.prefix}* in {module.CACHE_DIR} are damaged: {error}",
        "Remove that folder; evalplus downloads it again.",
    )


@contextlib.contextmanager
def _quick_failure() -> Iterator[None]:
    """Let a connection that gets no answer fail within seconds."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_CONNECT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
