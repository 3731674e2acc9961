"""What `experiments review` does: a person's grades, in MLflow's pages or in the terminal."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from pathlib import Path

from experiments.environment.terminal import results
from experiments.errors import ConfigError
from experiments.review import choosing
from experiments.review.grades import Grades
from experiments.review.rubric import load
from experiments.review.works import works


def run(chosen: argparse.Namespace, folders: Sequence[Path], conf: Path) -> int:
    """Do what the command line asks, and return the exit code.

    Args:
        chosen: the command line.
        folders: of the runs.
        conf: the folder of all configuration.

    Raises:
        UserError: what is wrong, in one line.
    """
    reviewers = _reviewers(chosen.reviewers)
    return _in_terminal(chosen, folders, conf, reviewers)


def _in_terminal(
    chosen: argparse.Namespace, folders: Sequence[Path], conf: Path, reviewers: Sequence[str]
) -> int:
    from experiments.review import terminal

    if len(reviewers) > 1:
        raise ConfigError("--text is for one reviewer", "Type: --reviewers NAME")
    reviewer = reviewers[0] if reviewers else getpass.getuser()
    rubric = load(chosen.rubric, conf)
    found = works(folders)
    grades = Grades(found, folders)
    choice = choosing.choose(found, chosen.budget, chosen.seed)
    with terminal.opened() as opened:
        choosing.keep(choice, found, folders, chosen.seed)
        done = terminal.grade_all(choice.works, grades, reviewer, rubric, opened)
    left = sum(grades.last(work, reviewer) is None for work in choice.works)
    results.print(f"{reviewer} graded {done} programs; {left} of {len(choice.works)} are left.")
    again = "The same command goes on from there. " if left else ""
    names = " ".join(str(name) for name in chosen.runs)
    results.print(f"{again}The score: experiments report {names}".rstrip(), soft_wrap=True)
    return 0


def _reviewers(text: str | None) -> list[str]:
    """Return the names of the reviewers.

    Raises:
        ConfigError: one is empty or stands twice.
    """
    names = [name.strip().lower() for name in text.split(",")] if text is not None else []
    for name in names:
        if not name or not name.isprintable():
            raise ConfigError(f"--reviewers {text}: a name is empty", "Type: --reviewers alice,bob")
        if names.count(name) > 1:
            raise ConfigError(f"--reviewers {text}: '{name}' stands twice", "Name each once.")
    return names
