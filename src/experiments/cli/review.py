"""What `experiments review` does: a person's grades, in MLflow's pages or in the terminal."""

from __future__ import annotations

import argparse
import getpass
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.common import TRACKING
from experiments.environment.terminal import counted, results
from experiments.errors import ConfigError, StoreError, masked, printable
from experiments.report.terminal import MLFLOW_ADDRESS
from experiments.review import choosing
from experiments.review.grades import Grades
from experiments.review.rubric import load
from experiments.review.works import works

if TYPE_CHECKING:
    from experiments.review.queues import Queue


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
    if chosen.status:
        return _status(folders, chosen.uri)
    if chosen.collect:
        return _collect(chosen, folders, conf)
    if chosen.text:
        return _in_terminal(chosen, folders, conf, reviewers)
    return _in_mlflow(chosen, folders, conf, reviewers or [getpass.getuser()])


def _in_mlflow(
    chosen: argparse.Namespace, folders: Sequence[Path], conf: Path, reviewers: Sequence[str]
) -> int:
    from experiments.review import queues

    rubric = load(chosen.rubric, conf)
    found = works(folders)
    choice = choosing.choose(found, chosen.budget, chosen.seed)
    name = chosen.name or time.strftime("%Y-%m-%d")
    opened = queues.start(found, choice, folders, rubric, reviewers, name, chosen.uri, chosen.seed)
    programs = counted(len(choice.works), "program")
    results.print(f"Each reviewer is to read {programs} of {len(found)}.")
    if not chosen.uri.startswith("http"):
        command = f".venv/bin/mlflow ui --backend-store-uri {shlex.quote(masked(chosen.uri))}"
        results.print(f"Open MLflow: {command}", soft_wrap=True)
    base = masked(chosen.uri) if chosen.uri.startswith("http") else MLFLOW_ADDRESS
    for queue in opened:
        page = f"#/experiments/{queue.experiment}/review-queue?selectedQueueId={queue.id}"
        results.print(f"{queue.reviewer}: {base.rstrip('/')}/{page}", soft_wrap=True)
    names = " ".join(map(shlex.quote, chosen.runs))
    if chosen.uri != TRACKING:
        names += f" --uri {shlex.quote(masked(chosen.uri))}"
    results.print(f"How far: experiments review {names} --status", soft_wrap=True)
    results.print(f"At last: experiments review {names} --collect", soft_wrap=True)
    return 0


def _status(folders: Sequence[Path], uri: str) -> int:
    from experiments.review import queues

    for queue in _queues(folders, uri):
        at = queues.progress(queue)
        total = at.pending + at.complete + at.declined
        declined = f", {at.declined} declined" if at.declined else ""
        results.print(
            f"{queue.name}: {at.complete} of {total} done{declined}", soft_wrap=True, markup=False
        )
    return 0


def _collect(chosen: argparse.Namespace, folders: Sequence[Path], conf: Path) -> int:
    from experiments.review import queues

    rubric = load(chosen.rubric, conf)
    found = works(folders)
    grades = Grades(found, folders)
    brought = queues.collect(found, folders, grades, rubric, chosen.uri)
    for grade in brought.unknown:
        _warn(f"'{grade}' is no grade of the rubric, and is left out")
    for reason in brought.without:
        _warn(reason)
    results.print(
        f"{brought.new} new grades, {brought.written} written on the runs' traces.",
        soft_wrap=True,
    )
    _show_next(chosen)
    return 0


def _queues(folders: Sequence[Path], uri: str) -> list[Queue]:
    """Return the queues of some runs.

    Raises:
        StoreError: there is none.
    """
    from experiments.review import queues

    found = queues.known(folders, uri)
    if not found:
        raise StoreError("These runs have no review queue", "Make one: experiments review RUN")
    return found


def _warn(text: str) -> None:
    print(f"warning: {printable(text)}", file=sys.stderr)


def _show_next(chosen: argparse.Namespace) -> None:
    names = " ".join(map(shlex.quote, chosen.runs))
    results.print(f"The score: experiments report {names}", soft_wrap=True)


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
    programs = counted(done, "program")
    results.print(f"{reviewer} graded {programs}; left: {left} of {len(choice.works)}.")
    if left:
        results.print("The same command goes on from there.")
    if done:
        _onto_traces(chosen.uri, folders)
    _show_next(chosen)
    return 0


def _onto_traces(uri: str, folders: Sequence[Path]) -> None:
    """Write grades on the runs' traces; they are in the folders in any case."""
    from experiments.review import queues

    for reason in queues.onto_traces(uri, folders):
        _warn(f"the grades are not in MLflow: {reason} Later: experiments review RUN --collect")


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
