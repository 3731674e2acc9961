"""The page: one HTML file with everything in it, which works without a network.

Nothing that a model wrote is ever markup: programs and outputs travel as packed JSON in
base64, and the page's script puts them into text nodes. A content security policy allows
that one script, by its hash, and no connection to anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from experiments.records import Outcome
from experiments.report import analysis
from experiments.report.analysis import Axis, Pair, Slice
from experiments.report.collect import KINDS, Attempt, Collection, Group, Run
from experiments.report.plots import MEMORY, SECONDS, SPEED, inline
from experiments.stats.comparing import Finding

LONGEST_TEXTS = (20_000, 8_000, 4_000, 2_000, 1_000, 500)
"""Characters of a program that are kept: the first for which the page is small enough."""

LARGEST_PROGRAMS = 3_600_000
"""Bytes of packed programs in one page, so that the whole stays under 5 MB."""

MOST_IN_MATRIX = 40

FEWEST_OF_A_TOPIC = 3
"""Topics of fewer problems are folded away: one problem is solved or not, and says no more."""

_CODES = dict(zip(KINDS, "abcdefgh", strict=True))


def page(collection: Collection, drawn: dict[str, str]) -> str:
    """Return the page as HTML.

    Args:
        collection: what it is about.
        drawn: the plots, by name.
    """
    script = files("experiments.report").joinpath("page.js").read_text(encoding="utf-8")
    style = files("experiments.report").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    body = "".join(_body(collection, drawn))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        f"<title>{_title(collection)}</title><style>{style}</style></head>\n<body>{body}"
        '<dialog aria-label="Programs"><header><h2></h2><button>Close</button></header>'
        f"<main></main></dialog><script>{script}</script></body></html>\n"
    )


def _title(collection: Collection) -> str:
    names = " and ".join(group.dataset for group in collection.groups)
    return escape(f"{len(collection.runs)} runs on {names}" if names else "No finished run")


def _body(collection: Collection, drawn: dict[str, str]) -> Iterable[str]:
    yield f"<h1>{_title(collection)}</h1>"
    for group in collection.groups:
        yield f'<p class="lead">{escape(analysis.headline(group))}</p>'
    for note in sorted({run.report.note for run in collection.runs if run.report.note}):
        yield f'<p class="note model">{escape(note)}</p>'
    if collection.failures:
        yield f"<p><b>Jobs that failed: {len(collection.failures)}.</b></p><ul>"
        for folder, reason in collection.failures:
            yield f"<li>{escape(folder.name)}: {escape(reason)}</li>"
        yield "</ul>"
    budget = LARGEST_PROGRAMS // max(1, len(collection.groups))
    for index, group in enumerate(collection.groups):
        several = f" · {group.dataset}" if len(collection.groups) > 1 else ""
        parts = [part for part in _parts(group, collection, drawn, index, budget) if part[2]]
        links = (f'<a href="#{name}-{index}">{title}</a>' for name, title, _ in parts)
        yield f"<nav>{''.join(links)}</nav>"
        for name, title, content in parts:
            heading = f'<h2 id="{name}-{index}">{title}{escape(several)}</h2>'
            yield f"<section>{heading}{content}</section>"
    yield f"<section><h2>To repeat it</h2>{''.join(_repeat(collection))}</section>"


def _parts(
    group: Group, collection: Collection, drawn: dict[str, str], index: int, budget: int
) -> Iterable[tuple[str, str, str]]:
    labels = [label for label in collection.labels if label != "dataset"]

    def plots(*names: str) -> str:
        return _plots({title: drawn.get(f"{group.dataset}-{name}", "") for name, title in _PLOTS
                       if name in names})  # fmt: skip

    yield "leaderboard", "Leaderboard", "".join(_leaderboard(group, labels))
    yield "ladder", "Quantization ladder", plots("ladder-score", "ladder-speed", "ladder-memory")
    yield "cost", "What it costs", _cost(plots("cost-seconds", "cost-memory"))
    yield "axes", "Level against level", "".join(_axes(group, labels))
    yield "map", "Problems and runs", "".join(_map(group, f"programs-{index}", budget))
    yield "extraction", "Format and extraction", "".join(_extraction(group))
    yield "topics", "Difficulty and topics", "".join(_topics(group))
    yield "failures", "Kinds of failure", plots("kinds")
    yield "agreement", "Agreement", "".join(_agreement(group))


_PLOTS = (
    ("ladder-score", "pass@1 against bits per weight, with 95 % intervals"),
    ("ladder-speed", "Speed against bits per weight"),
    ("ladder-memory", "Memory against bits per weight"),
    ("cost-seconds", "pass@1 against seconds per problem"),
    ("cost-memory", "pass@1 against peak memory"),
    ("kinds", "What became of the samples"),
)


def _plots(drawn: dict[str, str]) -> str:
    figures = [
        f"<figure>{inline(svg, title)}<figcaption>{title}</figcaption></figure>"
        for title, svg in drawn.items()
        if svg
    ]
    return f'<div class="plots">{"".join(figures)}</div>' if figures else ""


def _cost(plots: str) -> str:
    if not plots:
        return ""
    return (
        f"{plots}<p class='note'>Filled and joined: the Pareto front. No run is both cheaper "
        "and better than these. Numbers are places on the leaderboard.</p>"
    )


def _table(
    head: Sequence[str], rows: Iterable[str], kind: str = "", caption: str = "", left: int = 0
) -> str:
    cells = "".join(
        f'<th scope="col"{" class=l" if i <= left else ""}>{escape(h)}</th>'
        for i, h in enumerate(head)
    )
    told = f'<p class="note">{escape(caption)}</p>' if caption else ""
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{told}"
    )


def _row(first: str, cells: Iterable[str]) -> str:
    return f'<tr><th scope="row">{escape(first)}</th>{"".join(cells)}</tr>'


def _cell(text: str, name: str = "") -> str:
    return f'<td class="{name}">{escape(text)}</td>' if name else f"<td>{escape(text)}</td>"


Filled = tuple[str, Callable[[Run], str]]


def _columns() -> list[Filled]:
    """Return the leaderboard's columns behind pass@1: a title, and what a run has there."""

    def percent(name: str) -> Callable[[Run], str]:
        return lambda run: f"{100 * run.metrics[name]:.1f}" if name in run.metrics else ""

    def number(name: str, digits: int) -> Callable[[Run], str]:
        return lambda run: f"{run.metrics[name]:,.{digits}f}" if name in run.metrics else ""

    def known(base: bool) -> Callable[[Run], str]:
        return lambda run: _percent_or_blank(analysis.published(run, base))

    return [
        ("published %", known(False)),
        ("base %", percent("pass_at_1/base")),
        ("published base %", lambda r: known(True)(r) if r.dataset.endswith("_plus") else ""),
        *((f"pass@{k} %", percent(f"pass_at_{k}/plus")) for k in (5, 10, 100)),
        ("tests %", percent("tests_passed/all")),
        ("format %", percent("format/kept")),
        ("file MB", number("weights/megabytes", 1)),
        ("bits", lambda run: f"{run.bits_per_weight:.2f}" if run.bits_per_weight else ""),
        ("tokens/s", number(SPEED, 0)),
        ("s/problem", number(SECONDS, 2)),
        ("RAM MB", number(MEMORY, 0)),
    ]


def _percent_or_blank(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _leaderboard(group: Group, labels: Sequence[str]) -> Iterable[str]:
    columns = [(t, fill) for t, fill in _columns() if any(fill(run) for run in group.runs)]
    rows = []
    for place, run in enumerate(group.runs, start=1):
        cells = [_interval(run), *(_cell(fill(run)) for _, fill in columns)]
        rows.append(_row(f"#{place} {run.name}", cells))
    what = " · ".join(labels) or "run"
    yield _table([what, "pass@1 % (95 %)", *(title for title, _ in columns)], rows)
    yield (
        '<p class="note">pass@1 is on base and extra tests together; base % on the data set’s '
        "own tests. Intervals: Wilson for one sample, bootstrap over problems otherwise. Speed "
        "and memory are empty where every answer came from the store.</p>"
    )
    sources = sorted(
        {
            str(run.config["model.published.source"])
            for run in group.runs
            if run.config.get("model.published.source") and analysis.published(run) is not None
        }
    )
    if sources:
        yield (
            '<p class="note">Published figures are of other quantizations and other prompts: '
            f"near is expected, equal is not. {escape('; '.join(sources))}</p>"
        )
    if len(group.digests) > 1:
        yield (
            '<p class="note model">These runs were judged on different versions of the data '
            "set: their digests differ.</p>"
        )
    if len(group.runs) > 1:
        yield "<h3>The first against the others</h3>"
        yield _pairs(analysis.against_the_best(group))


def _interval(run: Run) -> str:
    if "pass_at_1/plus" not in run.metrics:
        return "<td></td>"
    share, low, high = (100 * run.metrics[f"pass_at_1/plus{end}"] for end in ("", "_low", "_high"))
    return (
        f'<td>{share:.1f} <span class="soft">{low:.0f}–{high:.0f}</span><span class="bar">'
        f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<b style="left:{share:.1f}%"></b></span></td>'
    )


def _axes(group: Group, labels: Sequence[str]) -> Iterable[str]:
    found = analysis.axes(group, labels)
    for axis in found:
        yield f"<h3>{escape(axis.label)}</h3>"
        yield _pairs(axis.overall, _averaged(axis))
        if axis.single:
            yield f"<details><summary>In each of the {axis.contexts} settings</summary>"
            yield f"{_pairs(axis.single)}</details>"
    if found:
        yield (
            '<p class="note">Pairs are compared on the same problems: exact McNemar test (exact '
            "sign-flip test where results are averaged), bootstrap interval of the "
            "difference. p is corrected by Holm’s method for the pairs of its table. Problems "
            "to know: how many it would take, with a power of 80 %, if the difference seen is "
            "the true one.</p>"
        )


def _averaged(axis: Axis) -> str:
    if axis.contexts == 1:
        return ""
    return f"Each problem’s result is averaged over {axis.contexts} settings of the rest."


_FINDINGS = {
    Finding.BETTER: "better",
    Finding.WORSE: "worse",
    Finding.EQUAL: "within 5 points",
    Finding.UNKNOWN: "not known yet",
}


def _pairs(pairs: Sequence[Pair], caption: str = "") -> str:
    rows = []
    in_contexts = any(pair.context for pair in pairs)
    for pair in pairs:
        made = pair.answer.comparison
        needed = pair.answer.problems_needed
        told = _FINDINGS[pair.answer.finding]
        cells = [
            _cell(pair.context, "l") if in_contexts else "",
            f"<td><b>{told}</b></td>" if pair.answer.finding is not Finding.UNKNOWN
            else _cell(told),
            _cell(f"{100 * made.difference:+.1f}"),
            _cell(f"{100 * made.low:+.1f} to {100 * made.high:+.1f}"),
            _cell(f"{made.only_first} : {made.only_second}"),
            _cell(_p(pair.answer.p_value)),
            _cell(str(made.problems)),
            _cell(f"≈ {analysis.rounded(needed):,}" if needed else ""),
        ]  # fmt: skip
        rows.append(_row(f"{pair.second} against {pair.first}", cells))
    head = ["", *(["in"] if in_contexts else []), "finding", "points", "95 %", "wins", "p (Holm)"]
    return _table([*head, "problems", "to know"], rows, caption=caption, left=int(in_contexts))


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _map(group: Group, name: str, budget: int) -> Iterable[str]:
    problems = analysis.by_ease(group)
    attempts: dict[str, list[tuple[int, Attempt]]] = {problem.id: [] for problem in problems}
    for number, run in enumerate(group.runs):
        for attempt in run.attempts:
            attempts.setdefault(attempt.problem_id, []).append((number, attempt))
    yield (
        '<p class="hint">Each row is a problem, each column a run, the easiest and the best '
        "first. A click shows the programs, their verdicts and the first failing input.</p>"
    )
    yield _legend(group)
    named = len(group.runs) <= 24
    heads = "".join(
        f'<th scope="col" title="{escape(run.name)}">'
        + (f'<span class="name">{escape(run.name)}</span>' if named else "")
        + f"{number}</th>"
        for number, run in enumerate(group.runs, start=1)
    )
    yield f'<div class="scroll map" data-programs="{name}"><table><thead><tr>'
    yield f'<th scope="col">problem</th>{heads}</tr></thead><tbody>'
    for problem in problems:
        shown = escape(problem.title or problem.id)
        cells: list[list[Attempt]] = [[] for _ in group.runs]
        for number, attempt in attempts[problem.id]:
            cells[number].append(attempt)
        yield (
            f'<tr><th scope="row"><button title="{escape(problem.id)}">{shown}</button></th>'
            f"{''.join(map(_square, cells))}</tr>"
        )
    yield "</tbody></table></div>"
    packed, longest = _packed(group, [problem.id for problem in problems], attempts, budget)
    if longest:
        yield f'<p class="note">Programs are shown up to {longest:,} characters.</p>'
    yield f'<script type="text/plain" id="{name}">{packed}</script>'


def _square(attempts: Sequence[Attempt]) -> str:
    if not attempts:
        return "<td></td>"
    passed = sum(attempt.passed for attempt in attempts)
    if 0 < passed < len(attempts):
        return f"<td class=z>{passed}</td>"
    return f"<td class={_CODES[min((a.kind for a in attempts), key=KINDS.index)]}></td>"


def _legend(group: Group) -> str:
    present = {attempt.kind for run in group.runs for attempt in run.attempts}
    several = any(attempt.sample for run in group.runs for attempt in run.attempts)
    kinds = [kind for kind in KINDS if kind in present]
    items = [(f"k-{kind}", kind.replace("_", " ")) for kind in kinds]
    if several:
        items.insert(1, ("k-partly", "some samples passed"))
    lines = (f"<li><span class={name}></span>{text}</li>" for name, text in items)
    return f'<ul class="legend">{"".join(lines)}</ul>'


def _packed(
    group: Group,
    order: Sequence[str],
    attempts: dict[str, list[tuple[int, Attempt]]],
    budget: int,
) -> tuple[str, int]:
    """Return the programs as base64, and to how many characters they were cut (0: none)."""
    packed = ""
    for longest in LONGEST_TEXTS:
        data, was_cut = _programs(group, order, attempts, longest)
        text = json.dumps(data, separators=(",", ":"))
        packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
        if len(packed) <= budget:
            return packed, longest if was_cut else 0
    return packed, LONGEST_TEXTS[-1]


def _programs(
    group: Group,
    order: Sequence[str],
    attempts: dict[str, list[tuple[int, Attempt]]],
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
        for number, attempt in attempts[problem]:
            verdict = attempt.verdict
            text = attempt.program if verdict.plus is not Outcome.NO_CODE else attempt.text
            if len(text) > longest:
                was_cut = True
                text = f"{text[:longest]}\n… ({len(text):,} characters)"
            failure = -1
            if verdict.failure:
                told = verdict.failure
                key = (told.call[:400], told.expected[:400], told.actual[:400])
                failure = failures.setdefault(key, len(failures))
            row.append(
                [
                    number,
                    attempt.sample,
                    KINDS.index(attempt.kind),
                    texts.setdefault(text, len(texts)),
                    failure,
                    verdict.tests_passed,
                    verdict.tests_total,
                    -1 if attempt.format_kept is None else int(attempt.format_kept),
                ]
            )
        cells.append(row)
    shown = ("id", "title", "difficulty", "topics", "prompt")
    return {
        "runs": [run.name for run in group.runs],
        "samples": any(attempt.sample for run in group.runs for attempt in run.attempts),
        "kinds": KINDS,
        "problems": [{name: getattr(known[p], name) for name in shown} for p in order],
        "programs": list(texts),
        "failures": list(failures),
        "cells": cells,
    }, was_cut


def _extraction(group: Group) -> Iterable[str]:
    found = [(run, analysis.extraction(run)) for run in group.runs]
    asked = any(each.sanitizer is not None for _, each in found)
    rows = []
    for place, (run, each) in enumerate(found, start=1):
        strict = "" if each.strict is None else f"{100 * each.strict:.1f}"
        sanitizer = "" if each.sanitizer is None else f"{100 * each.sanitizer:.1f}"
        cells = [strict, f"{100 * each.ours:.1f}", *([sanitizer] if asked else [])]
        cells += [str(each.rescued), str(each.wrong)]
        rows.append(_row(f"#{place} {run.name}", map(_cell, cells)))
    head = ["", "strict format %", "our extraction %", *(["EvalPlus sanitizer %"] if asked else [])]
    yield _table([*head, "right, format lost", "wrong or no program"], rows)
    yield (
        '<p class="note">pass@1 by the rule that finds the program in an answer. Strict: the '
        "asked format or nothing, so the difference to our extraction is right programs in "
        "the wrong format.</p>"
    )
    if not asked:
        yield (
            '<p class="note">EvalPlus’s sanitizer: <code>experiments report FOLDER --sanitizer'
            "</code></p>"
        )


def _topics(group: Group) -> Iterable[str]:
    def table(title: str, slices: Sequence[Slice]) -> str:
        head = [title, "problems", *(f"#{n}" for n in range(1, len(group.runs) + 1))]
        return _table(head, map(_heat, slices), "heat")

    topics = analysis.by_topic(group)
    common = [topic for topic in topics if topic.problems >= FEWEST_OF_A_TOPIC]
    rare = topics[len(common) :]
    if levels := analysis.by_difficulty(group):
        yield table("difficulty", levels)
    if common:
        yield table("topic", common)
    if rare:
        yield (
            f"<details><summary>Topics with fewer than {FEWEST_OF_A_TOPIC} problems: {len(rare)}"
            f"</summary>{table('topic', rare)}</details>"
        )
    if group.problems and any(problem.difficulty for problem in group.problems):
        yield '<p class="note">pass@1 in percent. Few problems say little.</p>'


def _heat(part: Slice) -> str:
    cells = [_cell(str(part.problems))]
    for share, (low, high) in part.shares:
        cells.append(
            f'<td style="--v:{100 * share:.0f}" title="{100 * low:.0f} to {100 * high:.0f}">'
            f"{100 * share:.0f}</td>"
        )
    return _row(part.name, cells)


def _agreement(group: Group) -> Iterable[str]:
    if len(group.runs) < 2:
        return
    found = analysis.together(group)
    total = len(group.problems)
    yield (
        f"<p>{found.by_any} of {total} problems are solved by at least one run, "
        f"{found.by_all} by every run, {len(found.alone)} by one run alone.</p>"
    )
    runs = group.runs[:MOST_IN_MATRIX]
    rows = []
    for place, run in enumerate(runs, start=1):
        cells = []
        for other in runs:
            share = analysis.agreement(run, other)
            text = "" if share is None else f"{100 * share:.0f}"
            # what two coins would agree on is no agreement: half is where colour begins
            value = 0.0 if share is None else max(0.0, 200 * share - 100)
            cells.append(f'<td style="--v:{value:.0f}">{text}</td>')
        rows.append(_row(f"#{place} {run.name}", cells))
    head = ["", *(f"#{number}" for number in range(1, len(runs) + 1))]
    caption = "Problems on which two runs have the same result, in percent"
    more = len(group.runs) - len(runs)
    yield _table(head, rows, "heat", f"{caption}{f'; {more} more runs left out' if more else ''}")


def _repeat(collection: Collection) -> Iterable[str]:
    if collection.command:
        yield f'<pre class="wrap">{escape(collection.command)}</pre>'
    runs = collection.runs
    facts: dict[str, set[str]] = {}
    for run in runs:
        for title, text in _facts(run):
            facts.setdefault(title, set()).add(text)
    rows = [_row(title, [_cell("; ".join(sorted(texts)), "l w")]) for title, texts in facts.items()]
    yield _table(["", ""], rows, left=1)
    rows = [_row(run.name, [_cell(_typed(run), "l"), _cell(_weights(run), "l")]) for run in runs]
    yield "<details><summary>Commands and weights of each run</summary>"
    yield _table(["run", "command", "weights, SHA-256"], rows, left=2)
    yield "</details>"
    shared, differing = analysis.shared_settings(runs)
    if differing:
        yield '<details class="screen"><summary>Settings in which the runs differ</summary>'
        rows = [
            _row(key, [_cell(v[:200], "l") for v in values]) for key, values in differing.items()
        ]
        yield _table(["", *(run.name for run in runs)], rows, left=len(runs))
        yield "</details>"
    if shared:
        yield "<details><summary>Settings that all runs share</summary>"
        lines = "\n".join(
            f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in shared.items()
        )
        yield f'<pre class="wrap">{escape(lines)}</pre></details>'


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
    import shlex

    if "overrides" not in run.manifest:
        return ""
    return f"python run.py {shlex.join(map(str, run.manifest['overrides']))}"


def _weights(run: Run) -> str:
    weights = run.manifest.get("weights")
    return f"{weights['file']} {weights['sha256']}" if weights else "none"
