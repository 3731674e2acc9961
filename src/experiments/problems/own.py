"""A folder of our own problem files -> a data set."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.environment.project import at_hand
from experiments.errors import DatasetError
from experiments.problems import cache, run
from experiments.problems.form import DIFFICULTIES, Form, read_form
from experiments.problems.source import parse
from experiments.records import Dataset, Problem
from experiments.sandbox import Sandbox


def load_own(
    folder: str | Path, name: str = "problems", cache: str | Path | None = None
) -> Dataset:
    """Return the problems of `folder`: `{easy,medium,hard}/*.py`, in that order, by name.

    A file is read once per content: its extra inputs and the check of its examples come
    from the sandbox and are kept. The digest is one over the problems, not over the text of
    the files: a comment does not change it.

    Args:
        folder: a folder with one folder per difficulty.
        name: name of the data set.
        cache: where problems are kept that were read before; None: in `outputs`, here or of the
            project.

    Raises:
        DatasetError: the first mistake in the files.
    """
    kept_in = _folder(cache)
    with closing(Sandbox()) as sandbox:  # which begins with the first problem that is not kept
        loaded = [_load(path, kept_in, sandbox) for path in problem_files(Path(folder))]
    return Dataset(
        name=name,
        digest=hashlib.sha256("".join(each.digest for each in loaded).encode()).hexdigest(),
        problems=tuple(each.problem for each in loaded),
        preload=imports_of(each.problem.reference for each in loaded),
    )


def load_problem(path: Path, cache: str | Path | None = None) -> Problem:
    """Return the problem in one file.

    Raises:
        DatasetError: the first mistake in the file.
    """
    with closing(Sandbox()) as sandbox:
        return _load(path, _folder(cache), sandbox).problem


def problem_files(folder: Path) -> list[Path]:
    """Return the problem files of a folder, easy ones first, by name.

    Raises:
        DatasetError: there are none, or a folder is not named as a difficulty.
    """
    folder = at_hand(folder)
    if not folder.is_dir():
        raise DatasetError(
            f"There is no folder {folder}", "Name the folder of the problems: dataset.folder=PATH"
        )
    for path in sorted(folder.glob("*/*.py")):
        if path.parent.name not in DIFFICULTIES and not _is_hidden(path):
            raise DatasetError(
                f"{path} is in no folder of a difficulty",
                f"Move it to one of {', '.join(DIFFICULTIES)}.",
            )
    found = [
        path
        for difficulty in DIFFICULTIES
        for path in sorted((folder / difficulty).glob("*.py"))
        if not _is_hidden(path)
    ]
    if not found:
        raise DatasetError(
            f"There are no problems in {folder}",
            "A problem is a file such as easy/quiet_hours.py in it.",
        )
    return found


def imports_of(programs: Iterable[str]) -> tuple[str, ...]:
    """Return the modules of the standard library that some programs import."""
    found: set[str] = set()
    for program in programs:
        if "import" not in program:
            continue
        for node in ast.walk(parse(program)):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return tuple(sorted(name for name in found if name.split(".")[0] in sys.stdlib_module_names))


def canonical(value: Any) -> str:
    """Return a text that is the same for the same value in every process."""
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}{{{','.join(sorted(map(canonical, value)))}}}"
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, tuple):
        return f"({','.join(map(canonical, value))},)"
    if isinstance(value, dict):
        items = (f"{canonical(key)}:{canonical(item)}" for key, item in value.items())
        return f"{{{','.join(items)}}}"
    return repr(value)


@dataclass(frozen=True)
class _Loaded:
    """A problem, and the digest over its content."""

    problem: Problem
    digest: str


def _folder(cache_folder: str | Path | None) -> Path:
    return Path(cache_folder) if cache_folder else at_hand("outputs") / "cache"


def _load(path: Path, folder: Path, sandbox: Sandbox) -> _Loaded:
    """Return the problem in a file, as it is kept in a folder or as it is read now."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
    name = f"{path.parent.name}/{path.stem}"
    key = cache.key(name, content)
    match cache.find(folder, name, key):
        case [tuple(fields), str(digest)] if len(fields) == len(Problem.__dataclass_fields__):
            return _Loaded(Problem(*fields), digest)
    problem = _read(read_form(path), sandbox)
    fields = tuple(vars(problem).values())
    digest = hashlib.sha256(canonical(fields).encode("utf-8", "surrogatepass")).hexdigest()
    cache.keep(folder, name, key, (fields, digest))
    return _Loaded(problem, digest)


def _read(form: Form, sandbox: Sandbox) -> Problem:
    run.check_examples(form, sandbox)
    return Problem(
        id=form.id,
        entry_point=form.entry_point,
        prompt=form.prompt,
        reference=form.reference,
        base_inputs=form.base_inputs,
        extra_inputs=run.extra_inputs(form, sandbox),
        atol=form.atol,
        title=form.title,
        difficulty=form.difficulty,
        topics=form.topics,
    )


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(("_", ".")) or path.parent.name.startswith(("_", "."))
