"""The page: one HTML file with everything in it, which works without a network.

The templates are in `templates/`; what they are given is escaped where it is written. Nothing
that a model wrote is markup in any case: programs and outputs travel as packed JSON in
base64, and the page's script puts them into text nodes. A content security policy allows
that one script, by its hash, and no connection to anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from experiments.environment.terminal import counted
from experiments.errors import printable
from experiments.report import analysis, fidelity, racing, thinking
from experiments.report.caveats import caveats
from experiments.report.collect import KINDS, Collection, Group, Run, Sample
from experiments.report.plots import inline, race_plot
from experiments.report.recommending import advised, recommend
from experiments.report.reviewed import reviewed
from experiments.stats.columns import MIXED, columns, percent
from experiments.stats.comparing import Finding
from experiments.stats.costs import is_mixed

LONGEST_TEXTS = (20_000, 8_000, 4_000, 2_000, 1_000, 500)
"""Characters of a program that are kept: the first for which the page is small enough."""

LARGEST_PROGRAMS = 3_600_000
"""Bytes of packed programs in one page, so that the whole stays under 5 MB."""

MOST_IN_MATRIX = 40

FEWEST_OF_A_TOPIC = 3
"""Topics of fewer problems are folded away: one problem is solved or not, and says no more."""

SECTIONS = {
    "race": "Race",
    "leaderboard": "Leaderboard",
    "ladder": "Quantization ladder",
    "fidelity": "Fidelity",
    "cost": "What it costs",
    "thinking": "What thinking is worth",
    "axes": "Level against level",
    "map": "Problems and runs",
    "extraction": "Format and extraction",
    "review": "A person’s grades",
    "topics": "Difficulty and topics",
    "failures": "Kinds of failure",
    "agreement": "Agreement",
    "recommendation": "Recommendation",
}
"""Sections of a data set in their order: the template's name and the heading."""

_FIGURES = {
    "ladder-score": "pass@1 against bits per weight, with 95 % intervals",
    "ladder-speed": "Speed against bits per weight",
    "ladder-memory": "Memory against bits per weight",
    "fidelity": "Divergence per token from the reference, and pass@1 of the same levels, with "
    "95 % intervals",
    "cost-seconds": "pass@1 against seconds per problem",
    "cost-memory": "pass@1 against peak memory",
    "kinds": "What became of the samples",
}

_FINDINGS = {
    Finding.BETTER: "better",
    Finding.WORSE: "worse",
    Finding.EQUAL: "within 5 points",
    Finding.SAME: "same programs",
    Finding.UNKNOWN: "not known yet",
}

_CODES = {kind: chr(ord("a") + number) for number, kind in enumerate(KINDS)}
"""Class of a kind in the map: one letter, since there are thousands of cells."""


@dataclass(frozen=True)
class Section:
    """A part of the page: where it is found, its heading and its HTML."""

    id: str
    title: str
    content: Markup


@dataclass(frozen=True)
class Figure:
    """A plot with its caption."""

    svg: Markup
    title: str


def page(collection: Collection, drawn: Mapping[str, str]) -> str:
    """Return the page as HTML.

    Args:
        collection: what it is about.
        drawn: the plots, by name.
    """
    script, style = _source("page.js"), _source("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    names = " and ".join(group.dataset for group in collection.groups)
    budget = LARGEST_PROGRAMS // max(1, len(collection.groups))
    return _rendered(
        "page",
        title=f"{counted(len(collection.runs), 'run')} on {names}" if names else "No finished run",
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
        style=style,
        codes=_CODES,
        script=script,
        headlines=[analysis.headline(group) for group in collection.groups],
        notes=[*collection.notes, *sorted({run.report.note for run in collection.runs} - {""})],
        failures=collection.failures,
        groups=[
            {
                "dataset": group.dataset,
                "sections": _sections(group, collection, drawn, number, budget),
            }
            for number, group in enumerate(collection.groups)
        ],
        repeat=_repeat(collection),
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("experiments.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_shown,
    )
    made.globals |= {
        "analysis": analysis,
        "fidelity": fidelity,
        "racing": racing,
        "thinking": thinking,
        "findings": _FINDINGS,
        "mixed": MIXED,
        "most_in_matrix": MOST_IN_MATRIX,
        "fewest_of_a_topic": FEWEST_OF_A_TOPIC,
        "percent": percent,
        "numbers": _numbers,
        "zip": zip,
    }
    return made


def _shown(value: Any) -> Any:
    """Return what is written in place of a value: no text of others can spoil the file."""
    return printable(value) if type(value) is str else value


def _rendered(template: str, **values: Any) -> Markup:
    return Markup(_environment().get_template(f"{template}.html").render(**values))


def _source(name: str) -> Markup:
    """Return a style sheet or script of ours as it is."""
    loader = _environment().loader
    assert loader is not None
    return Markup(loader.get_source(_environment(), name)[0])


def _numbers(runs: Sequence[object]) -> list[str]:
    return [f"#{number}" for number in range(1, len(runs) + 1)]


def _sections(
    group: Group, collection: Collection, drawn: Mapping[str, str], number: int, budget: int
) -> list[Section]:
    """Return the sections of a data set that have something to say."""

    def figures(*names: str) -> list[Figure]:
        return [
            Figure(Markup(inline(svg, _FIGURES[name])), _FIGURES[name])
            for name in names
            if (svg := drawn.get(f"{group.dataset}-{name}"))
        ]

    values = {
        "group": group,
        "runs": group.runs,
        "labels": collection.labels,
        "columns": columns("page", [run.metrics for run in group.runs]),
        "caveats": caveats(group),
        "races": _races(group, drawn),
        "ladder": figures("ladder-score", "ladder-speed", "ladder-memory"),
        "fidelity_plots": figures("fidelity"),
        "costs": figures("cost-seconds", "cost-memory"),
        "kinds": figures("kinds"),
        **_map(group, f"programs-{number}", budget),
        "review": reviewed(group),
        "advice": [(each.limit, advised(each)) for each in recommend(group)],
        "is_mixed": any(is_mixed(run.metrics) for run in group.runs),
    }
    contents = {name: _rendered(name, **values).strip() for name in SECTIONS}
    return [
        Section(f"{name}-{number}", SECTIONS[name], content)
        for name, content in contents.items()
        if content
    ]


def _races(group: Group, drawn: Mapping[str, str]) -> list[tuple[racing.Race, list[Figure]]]:
    """Return the races of a data set, each with the curves of its candidates."""
    found = []
    for number, race in enumerate(group.races):
        figures = []
        for place, runner in enumerate(race.runners):
            if svg := drawn.get(race_plot(group, number, place)):
                told = f"{runner.candidate}: {racing.finding(race, runner)}"
                figures.append(Figure(Markup(inline(svg, told)), told))
        found.append((race, figures))
    return found


def _map(group: Group, name: str, budget: int) -> dict[str, Any]:
    problems = analysis.by_ease(group)
    samples: dict[str, list[tuple[int, Sample]]] = {problem.id: [] for problem in problems}
    for number, run in enumerate(group.runs):
        for sample in run.samples:
            samples.setdefault(sample.problem_id, []).append((number, sample))
    rows = []
    for problem in problems:
        cells: list[list[Sample]] = [[] for _ in group.runs]
        for number, sample in samples[problem.id]:
            cells[number].append(sample)
        rows.append((problem, [_square(cell) for cell in cells]))
    packed, longest = _packed(group, [problem.id for problem in problems], samples, budget)
    return {
        "id": name,
        "legend": _legend(group),
        "rows": rows,
        "packed": packed,
        "longest": longest,
    }


def _square(samples: Sequence[Sample]) -> tuple[str, str]:
    """Return the class of a cell, and its text: how many samples passed, if some did."""
    if not samples:
        return "", ""
    passed = sum(sample.passed for sample in samples)
    if 0 < passed < len(samples):
        return "z", str(passed)
    return _CODES[min((sample.kind for sample in samples), key=KINDS.index)], ""


def _legend(group: Group) -> list[tuple[str, str]]:
    present = {sample.kind for run in group.runs for sample in run.samples}
    several = any(sample.sample for run in group.runs for sample in run.samples)
    items = [(f"k-{kind}", kind.replace("_", " ")) for kind in KINDS if kind in present]
    if several:
        items.insert(1, ("k-partly", "some samples passed"))
    if any(len(run.rates) < len(group.problems) for run in group.runs):
        items.append(("k-none", "not asked"))
    return items


def _packed(
    group: Group,
    order: Sequence[str],
    samples: dict[str, list[tuple[int, Sample]]],
    budget: int,
) -> tuple[str, int]:
    """Return the programs as base64, and to how many characters they were cut (0: none)."""
    packed = ""
    for longest in LONGEST_TEXTS:
        data, was_cut = _programs(group, order, samples, longest)
        text = json.dumps(data, separators=(",", ":"))
        packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
        if len(packed) <= budget:
            return packed, longest if was_cut else 0
    return packed, LONGEST_TEXTS[-1]


def _programs(
    group: Group,
    order: Sequence[str],
    samples: dict[str, list[tuple[int, Sample]]],
    longest: int,
) -> tuple[dict[str, Any], bool]:
    """Return what a click shows; each text is kept once, a problem's beside each other."""
    texts: dict[str, int] = {}
    failures: dict[tuple[str, str, str], int] = {}
    known = {problem.id: problem for problem in group.problems}
    was_cut = False
    cells = []
    for problem in order:
        row = []
        for number, sample in samples[problem]:
            verdict = sample.verdict
            text = sample.program or sample.text
            if len(text) > longest:
                was_cut = True
                text = f"{text[:longest]}\n… ({len(text):,} characters)"
            failure = -1
            if verdict.failure:
                told = verdict.failure
                key = (told.call[:400], told.expected[:400], told.actual[:400])
                failure = failures.setdefault(key, len(failures))
            number_of = texts.setdefault(text, len(texts))
            row.append(
                [
                    number,
                    sample.sample,
                    KINDS.index(sample.kind),
                    number_of if sample.program else -1 - number_of,
                    failure,
                    verdict.tests_passed,
                    verdict.tests_total,
                    -1 if sample.format_kept is None else int(sample.format_kept),
                    int(verdict.tests_not_run > 0),
                ]
            )
        cells.append(row)
    shown = ("id", "title", "difficulty", "topics", "prompt")
    return {
        "runs": [run.name for run in group.runs],
        "samples": any(sample.sample for run in group.runs for sample in run.samples),
        "kinds": KINDS,
        "problems": [{name: getattr(known[p], name) for name in shown} for p in order],
        "programs": list(texts),
        "failures": list(failures),
        "cells": cells,
    }, was_cut


def _repeat(collection: Collection) -> Markup:
    facts: dict[str, set[str]] = {}
    for run in collection.runs:
        for title, text in _facts(run):
            facts.setdefault(title, set()).add(text)
    shared, differing = analysis.shared_settings(collection.runs)
    return _rendered(
        "repeat",
        command=collection.command,
        facts=[(title, sorted(texts)) for title, texts in facts.items()],
        runs=[(run.name, _typed(run), _weights(run)) for run in collection.runs],
        differing=differing,
        shared={key: json.dumps(value, ensure_ascii=False) for key, value in shared.items()},
    )


def _facts(run: Run) -> Iterable[tuple[str, str]]:
    manifest = run.manifest
    dataset = manifest.get("dataset", {})
    yield "data set", f"{dataset.get('name', '')} {dataset.get('sha256', '')}"
    for name, value in manifest.get("versions", {}).items():
        yield name, str(value)
    machine = manifest.get("machine", {})
    if machine:
        yield (
            "machine",
            (
                f"{machine.get('processor')}, {machine.get('cores')} cores, "
                f"{machine.get('memory_gigabytes')} GB, {machine.get('system')}"
            ),
        )
    source = manifest.get("source", {})
    if source.get("git_commit"):
        changed = " with changes" if source.get("changed_since") else ""
        yield "source", f"{source['git_commit']}{changed}"
    if manifest.get("isolation"):
        yield "programs ran in", ", ".join(manifest["isolation"])
    if "seed" in manifest:
        yield "seed", str(manifest["seed"])


def _typed(run: Run) -> str:
    if "overrides" not in run.manifest:
        return ""
    return f"python run.py {shlex.join(map(str, run.manifest['overrides']))}"


def _weights(run: Run) -> str:
    weights = run.manifest.get("weights")
    return f"{weights['file']} {weights['sha256']}" if weights else "none"
