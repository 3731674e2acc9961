"""The table of all problems, as it stands in the README of their folder.

It is made from the files, between two marks, so that it can be made again and checked:

    python -m experiments.problems problems
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.errors import DatasetError
from experiments.problems.form import DIFFICULTIES, Form, read_form
from experiments.problems.own import problem_files

START = "<!-- The table is made by `python -m experiments.problems problems`. -->"
END = "<!-- Here it ends. -->"


def table(forms: Sequence[Form]) -> str:
    """Return the table in Markdown, one section per difficulty."""
    sections = []
    for difficulty in DIFFICULTIES:
        chosen = [form for form in forms if form.difficulty == difficulty]
        if not chosen:
            continue
        rows = [
            f"| [{form.path.stem}]({difficulty}/{form.path.name}) | {_cell(form.title)} "
            f"| {_cell(', '.join(form.topics))} |"
            for form in chosen
        ]
        head = f"### {difficulty.capitalize()} ({len(chosen)})"
        sections.append(
            "\n".join([head, "", "| problem | title | topics |", "|---|---|---|", *rows])
        )
    return "\n\n".join(sections)


def with_table(readme: str, forms: Sequence[Form]) -> str:
    """Return the text of a README with its table made anew.

    Raises:
        DatasetError: the marks are not in it.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise DatasetError(
            "The README of the problems has no place for their table",
            f"Write the lines `{START}` and `{END}` where it belongs.",
        )
    return f"{before}{START}\n\n{table(forms)}\n\n{END}{after}"


def is_stale(folder: Path) -> bool:
    """Tell whether a folder has a README whose table is not that of its files."""
    file = folder / "README.md"
    if not file.exists():
        return False
    text = file.read_text(encoding="utf-8")
    return START in text and with_table(text, _forms(folder)) != text


def write(folder: Path) -> bool:
    """Make the table in a folder's README anew; tell whether it was stale.

    Raises:
        DatasetError: there is no README, or no place for the table in it.
    """
    file = folder / "README.md"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror}") from None
    new = with_table(text, _forms(folder))
    if new != text:
        file.write_text(new, encoding="utf-8")
    return new != text


def _forms(folder: Path) -> list[Form]:
    return [read_form(path) for path in problem_files(folder)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
