"""The checks in their order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypeVar

from experiments.environment.project import at_hand
from experiments.environment.terminal import bar, counted
from experiments.errors import DatasetError, did_you_mean
from experiments.judge import judge
from experiments.problems import (
    Form,
    load_evalplus,
    load_problem,
    problem_files,
    read_form,
    read_jsonl,
    table,
)
from experiments.problems.evalplus_sets import is_at_hand
from experiments.problems.jsonl import JSON_LINES, is_lookup
from experiments.problems.own import canonical, imports_of
from experiments.problems.run import extra_inputs
from experiments.problems.validate import mutants
from experiments.problems.validate.overlap import overlaps
from experiments.problems.validate.report import Finding, MutationScore, Report, percent
from experiments.problems.validate.types import badly_typed_inputs, badly_typed_outputs
from experiments.records import Dataset, Outcome, Problem, Solution, Verdict
from experiments.sandbox import Sandbox
from experiments.schema import SandboxConfig

MINIMUM_BASE = 0.95
MINIMUM_PLUS = 0.99
"""Shares of the mutants that our tests have to kill: the base tests, and all tests."""

EXAMPLES = range(2, 5)
"""How many examples a statement may have."""

OTHER_SEED = 4711
"""Sets of strings are gone through in another order with it."""

EVALPLUS = ("humaneval", "humaneval_plus", "mbpp", "mbpp_plus")


def validate(
    dataset: str = "problems",
    *,
    only: Sequence[str] = (),
    sample: int | None = None,
    limit: int | None = None,
    workers: int | None = None,
    mutation: bool = True,
    cache_folder: Path = Path("outputs/cache"),
) -> Report:
    """Check a data set.

    Args:
        dataset: one of EvalPlus's sets by name, a folder of our own problems, or a JSON Lines file.
        only: ids of problems, or what their ids begin with (`easy`, `easy/quiet_hours`).
        sample: take so many problems, drawn at random but always the same.
        limit: take the first so many problems.
        workers: programs judged at once; None: one per core.
        mutation: judge mutants; without it the checks take seconds.
        cache_folder: where problems and expected outputs are kept.

    Raises:
        DatasetError: there is no such data set, or nothing of it was chosen.
    """
    chosen_by = (only, sample, limit)
    if dataset in EVALPLUS:
        whole = load_evalplus(dataset)
        return _validate_loaded(whole, chosen_by, workers, mutation, cache_folder)
    if Path(dataset).is_file() or dataset.endswith(JSON_LINES):
        whole, left_out = read_jsonl(Path(dataset))
        report = _validate_loaded(whole, chosen_by, workers, mutation, cache_folder)
        gaps = [Finding(each.task_id, f"it is left out: {each.reason}") for each in left_out]
        return replace(report, findings=(*gaps, *report.findings))
    folder = at_hand(dataset)
    files = problem_files(folder)
    chosen = _chosen(files, [f"{path.parent.name}/{path.stem}" for path in files], *chosen_by)
    report = _validate_own(chosen, folder.name, workers, mutation, cache_folder)
    if only or sample is not None or limit is not None:
        return report
    return replace(report, findings=(*report.findings, *_stale_table(folder)))


def _validate_loaded(
    whole: Dataset,
    chosen_by: tuple[Sequence[str], int | None, int | None],
    workers: int | None,
    mutation: bool,
    cache_folder: Path,
) -> Report:
    """Check a data set whose files hold problems as they are: references and mutants."""
    ids = [problem.id for problem in whole.problems]
    chosen = replace(whole, problems=tuple(_chosen(whole.problems, ids, *chosen_by)))
    sound, findings = _with_sound_reference(chosen, workers, cache_folder)
    scores: list[MutationScore] = []
    notes: list[str] = []
    if mutation:
        solved = [problem for problem in sound.problems if not is_lookup(problem)]
        if unsolved := len(sound.problems) - len(solved):
            notes.append(
                f"the strength of the tests of {counted(unsolved, 'problem')} was not measured: "
                "that takes a solution to change, and none is given"
            )
        if solved:
            subjects = [mutants.Subject(problem, problem.id) for problem in solved]
            scores, _ = mutants.scores(subjects, sound, workers, cache_folder)
    return Report(whole.name, len(chosen.problems), tuple(findings), tuple(scores), tuple(notes))


def _validate_own(
    paths: Sequence[Path],
    name: str,
    workers: int | None,
    mutation: bool,
    cache_folder: Path,
) -> Report:
    findings: list[Finding] = []
    notes: list[str] = []
    forms: dict[str, Form] = {}
    problems: list[Problem] = []
    with bar("Files", len(paths)) as progress:
        for path in progress.each(paths):
            try:
                problem = load_problem(path, cache_folder)
            except DatasetError as error:
                findings.append(_of_error(path, error))
                continue
            forms[problem.id] = read_form(path)
            problems.append(problem)
    findings += _same_names(problems)
    for problem in problems:
        form = forms[problem.id]
        if len(form.examples) not in EXAMPLES:
            findings.append(
                Finding(
                    str(form.path),
                    f"the statement has {len(form.examples)} examples. Give "
                    f"{EXAMPLES.start} to {EXAMPLES.stop - 1}.",
                )
            )
        findings += badly_typed_inputs(problem, form)
    known = [other for set_name in EVALPLUS[1::2] for other in _known(set_name, notes)]
    findings += overlaps(problems, known)
    findings += _unsteady_inputs(problems, forms)
    references = imports_of(problem.reference for problem in problems)
    whole = Dataset(name, digest="", problems=tuple(problems), preload=references)
    sound, wrong = _with_sound_reference(whole, workers, cache_folder)
    findings += wrong
    findings += badly_typed_outputs(
        [(problem, forms[problem.id]) for problem in sound.problems], sound.preload
    )
    scores: list[MutationScore] = []
    if mutation and sound.problems:
        subjects = [
            mutants.Subject(
                problem,
                str(forms[problem.id].path),
                forms[problem.id].reference_lines,
                forms[problem.id].equivalent_mutants,
            )
            for problem in sound.problems
        ]
        scores, wrong = mutants.scores(subjects, sound, workers, cache_folder)
        findings += wrong
    report = Report(name, len(paths), tuple(findings), tuple(scores), tuple(notes))
    return replace(report, findings=(*findings, *_weak(report)))


T = TypeVar("T")


def _chosen(
    items: Sequence[T],
    ids: Sequence[str],
    only: Sequence[str],
    sample: int | None,
    limit: int | None,
) -> list[T]:
    wanted = [name.removesuffix(".py").rstrip("/") for name in only]
    for name in wanted:
        if not any(_is_of(each, name) for each in ids):
            raise DatasetError(f"There is no problem '{name}'", did_you_mean(name, ids))
    places = [
        place
        for place, each in enumerate(ids)
        if not wanted or any(_is_of(each, name) for name in wanted)
    ]
    if sample is not None:
        places = sorted(Random(0).sample(places, min(sample, len(places))))
    return [items[place] for place in places[:limit]]


def _is_of(problem_id: str, name: str) -> bool:
    return problem_id == name or problem_id.startswith(f"{name}/")


def _of_error(path: Path, error: DatasetError) -> Finding:
    text = str(error)
    what = text.removeprefix(str(path)).lstrip(":, ")
    return Finding(str(path), what)


def _same_names(problems: Sequence[Problem]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for problem in problems:
        for kind, name in (("entry point", problem.entry_point), ("title", problem.title)):
            first = seen.setdefault(f"{kind} {name}", problem.id)
            if first != problem.id:
                yield Finding(problem.id, f"{first} has the {kind} {name}, too. Rename one.")


def _stale_table(folder: Path) -> Iterator[Finding]:
    with contextlib.suppress(DatasetError):  # of a file: it has a finding of its own
        if table.is_stale(folder):
            yield Finding(
                str(folder / "README.md"),
                "its table is not that of the files. Type: "
                f"python -m experiments.problems {folder}",
            )


def _known(name: str, notes: list[str]) -> Iterable[Problem]:
    """Return the problems of a public set, if it is on this machine."""
    if is_at_hand(name):
        try:
            return load_evalplus(name).problems
        except DatasetError as error:
            notes.append(f"overlap with {name} was not checked. {error}")
            return ()
    notes.append(f"overlap with {name} was not checked: it is not on this machine")
    return ()


def _with_sound_reference(
    dataset: Dataset, workers: int | None, cache_folder: Path
) -> tuple[Dataset, list[Finding]]:
    """Return the problems whose reference passes all tests, and findings for the others."""
    findings: list[Finding] = []
    settings = SandboxConfig(workers=workers)
    verdicts: list[Verdict] = []
    try:
        verdicts = _judged("References", dataset, settings, cache_folder)
    except DatasetError:
        for problem in dataset.problems:  # one by one, to tell all of them
            single = replace(dataset, problems=(problem,))
            try:
                verdicts += _judged("References", single, settings, cache_folder)
            except DatasetError as error:
                findings.append(Finding(problem.id, str(error).removeprefix(f"{problem.id}: ")))
    passed = {verdict.problem_id for verdict in verdicts if verdict.plus is Outcome.PASSED}
    findings += [
        Finding(
            verdict.problem_id,
            f"the reference fails its own tests ({verdict.plus.value}){_difference(verdict)}",
        )
        for verdict in verdicts
        if verdict.problem_id not in passed
    ]
    sound = replace(dataset, problems=tuple(each for each in dataset.problems if each.id in passed))
    again = _judged("Once more", sound, settings, cache_folder, OTHER_SEED)
    findings += [
        Finding(
            verdict.problem_id,
            "the reference gives other outputs when strings have other hashes (does their "
            f"order come from a set?){_difference(verdict)}",
        )
        for verdict in again
        if verdict.plus is not Outcome.PASSED
    ]
    return sound, findings


def _unsteady_inputs(problems: Sequence[Problem], forms: Mapping[str, Form]) -> Iterator[Finding]:
    """Run each generator again, in a process with another hash seed."""
    with Sandbox(hash_seed=OTHER_SEED) as sandbox:
        for problem in problems:
            form = forms[problem.id]
            try:
                again = extra_inputs(form, sandbox)
            except DatasetError as error:
                yield _of_error(form.path, error)
                continue
            if canonical(again) != canonical(problem.extra_inputs):
                yield Finding(
                    str(form.path),
                    "extra_inputs() yields other inputs each time. Draw from the `random` that "
                    "it is given, and sort what comes from a set.",
                )


def _difference(verdict: Verdict) -> str:
    failure = verdict.failure
    return f": {failure.call} gave {failure.expected}, then {failure.actual}" if failure else ""


def _judged(
    title: str,
    dataset: Dataset,
    settings: SandboxConfig,
    cache_folder: Path,
    hash_seed: int = 0,
) -> list[Verdict]:
    """Judge the references as if they were solutions."""
    if not dataset.problems:
        return []
    solutions = [Solution(problem.id, 0, problem.reference) for problem in dataset.problems]
    with (
        bar(title, len(solutions)) as progress,
        judge(solutions, dataset, settings, cache_folder, hash_seed) as judging,
    ):
        return list(progress.each(judging))


def _weak(report: Report) -> Iterator[Finding]:
    total = report.total
    if not report.scores:
        return
    if total.base_share < MINIMUM_BASE:
        yield Finding(
            report.dataset,
            f"the base tests kill {percent(total.base_share)} of the mutants, "
            f"fewer than {percent(MINIMUM_BASE)}. Add base inputs that tell them apart.",
        )
    if total.share < MINIMUM_PLUS:
        yield Finding(
            report.dataset,
            f"base and extra tests kill {percent(total.share)} of the mutants, fewer than "
            f"{percent(MINIMUM_PLUS)}. Add inputs, or list survivors in EQUIVALENT_MUTANTS with "
            "their reason.",
        )
