"""The report: what is said of runs, and that nothing a model wrote can act in it."""

import json
import re
import zlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from experiments import report
from experiments.errors import DatasetError, StoreError
from experiments.records import (
    Dataset,
    Failure,
    FinishReason,
    Generation,
    Outcome,
    Problem,
    Solution,
    Verdict,
)
from experiments.report import analysis, page
from experiments.report.collect import KINDS, Sample
from experiments.report.markdown import markdown
from experiments.report.plots import KIND_COLOURS, plots, spans
from experiments.stats.comparing import Finding
from experiments.stats.metrics import summarise
from experiments.store import runs

EVIL = "</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>"
LIMIT = 5_000_000


def make_run(
    folder: Path,
    passed: list[bool],
    labels: dict[str, str] | None = None,
    program: str | None = None,
    bits: float | None = None,
    seconds: float | None = None,
    format_kept: bool = True,
) -> Path:
    """Write the folder of a run in which the problems p0, p1, ... came out as told."""
    folder.mkdir(parents=True)
    if program is None:  # each run wrote others
        program = f"def f(x):\n    return x  # {folder.name}\n"
    problems = [
        Problem(f"p{i}", "f", "def f(x):\n", "", ((1,),), title=f"Problem {i}", difficulty="easy")
        for i in range(len(passed))
    ]
    verdicts, solutions, generations = [], [], []
    for problem, good in zip(problems, passed, strict=True):
        outcome = Outcome.PASSED if good else Outcome.WRONG_ANSWER
        failure = None if good else Failure(f"f({EVIL!r})", "1", EVIL)
        verdicts.append(Verdict(problem.id, 0, outcome, outcome, int(good), 1, 0, 0, failure))
        solutions.append(Solution(problem.id, 0, program, format_kept, True))
        generations.append(Generation("k", problem.id, 0, program, FinishReason.END_TOKEN))
    metrics = summarise(verdicts, solutions, generations, problems)
    if seconds is not None:
        metrics["cost/seconds_per_problem"] = seconds
    all_labels = {"model": "m", "quantization": "q8_0", "prompt": "plain", "dataset": "d"}
    manifest: dict[str, Any] = {
        "labels": {**all_labels, **(labels or {})},
        "overrides": ["model=m"],
        "dataset": {"name": "d", "sha256": "0" * 64},
        "weights": None if bits is None else {"file": "f", "sha256": "1", "bits_per_weight": bits},
    }
    runs.write_run(
        folder,
        generations=generations,
        verdicts=verdicts,
        programs=[replace(s, syntax_valid=None) for s in solutions],
        problems=problems,
        manifest=manifest,
        metrics=metrics,
    )
    return folder


def unpacked(page: str) -> dict[str, Any]:
    """Return what a click on the page's first map would show."""
    found = re.search(r'<script type="text/plain" id="programs-0">([^<]*)</script>', page)
    assert found is not None
    data: dict[str, Any] = json.loads(zlib.decompress(b64decode(found[1])))
    return data


def test_what_a_model_wrote_is_never_markup(tmp_path: Path) -> None:
    folders = [
        make_run(tmp_path / "a", [True, False], {"prompt": EVIL}, program=EVIL),
        make_run(tmp_path / "b", [False, False], program=EVIL),
    ]
    collection = report.collect(folders)
    written = report.write(collection, tmp_path / "out")
    page = written.page.read_text()
    assert EVIL not in page
    assert "<img" not in page
    assert page.count("<script") == 2  # the page's own, and the packed programs
    data = unpacked(page)
    assert data["programs"] == [EVIL]
    assert [EVIL in failure for failure in data["failures"]] == [True]
    assert "default-src &#39;none&#39;" in page
    assert "<" not in written.table.read_text()


def test_a_count_of_tests_that_is_a_lower_bound_is_told_as_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [True, False])
    path = folder / "verdicts.jsonl"
    path.write_text(path.read_text().replace('"tests_not_run":0}', '"tests_not_run":3}', 1))
    written = report.write(report.collect([folder]), tmp_path / "out")
    cells = unpacked(written.page.read_text())["cells"]
    assert sorted(row[-1] for ((row,),) in zip(cells, strict=True)) == [0, 1]


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    written = report.write(report.collect([make_run(tmp_path / "a", [True])]), tmp_path)
    page = written.page.read_text()
    outside = re.findall(r'(?:src|href)="(?!#)([^"]*)"|@import|url\((?!#)', page)
    assert [address for address in outside if address] == []


@pytest.mark.slow
def test_a_hundred_runs_of_164_problems_stay_under_5_megabytes(tmp_path: Path) -> None:
    random = Random(0)
    words = ["value", "total", "items", "result", "left", "right", "count", "index", "key", "node"]
    for number in range(100):
        folder = make_run(
            tmp_path / "runs" / str(number),
            [random.random() < 0.5 for _ in range(164)],
            {"model": f"m{number}"},
        )
        samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
        for sample in samples:  # each program is another, as those of real models are
            lines = [
                f"    {random.choice(words)}_{random.randrange(50)} = {random.choice(words)}"
                f"[{random.randrange(100)}] + {random.random():.6f}"
                for _ in range(random.randrange(4, 25))
            ]
            sample["solution"] = "\n".join(["def f(x):", *lines])
        text = "".join(f"{json.dumps(sample)}\n" for sample in samples)
        (folder / "samples.jsonl").write_text(text)
    collection = report.collect([tmp_path / "runs"])
    assert len(collection.runs) == 100
    text = page.page(collection, {})
    assert len(text.encode()) < LIMIT
    assert sum(len(row) for row in unpacked(text)["cells"]) == 16_400


def test_the_map_goes_from_easy_to_hard_and_from_good_to_bad(tmp_path: Path) -> None:
    folders = [
        make_run(tmp_path / "weak", [False, False, True, False], {"prompt": "weak"}),
        make_run(tmp_path / "good", [True, False, True, True], {"prompt": "good"}),
        make_run(tmp_path / "fair", [False, False, True, True], {"prompt": "fair"}),
    ]
    (group,) = report.collect(folders).groups
    assert [run.name for run in group.runs] == ["good", "fair", "weak"]
    assert [problem.id for problem in analysis.by_ease(group)] == ["p2", "p3", "p0", "p1"]
    found = analysis.together(group)
    assert (found.by_any, found.by_all, dict(found.alone)) == (3, 1, {"p0": "good"})


def test_levels_are_paired_where_all_else_is_equal(tmp_path: Path) -> None:
    folders = [
        make_run(
            tmp_path / f"{level}-{prompt}",
            [level == "q8_0"] * 20,
            {"quantization": level, "prompt": prompt},
            bits=bits,
        )
        for level, bits in (("q2_k", 3.0), ("q8_0", 8.5))
        for prompt in ("plain", "cot")
    ]
    collection = report.collect(folders)
    (group,) = collection.groups
    found = {axis.label: axis for axis in analysis.axes(group, collection.labels)}
    (pair,) = found["quantization"].overall
    assert (pair.first, pair.second) == ("q8_0", "q2_k")  # from many bits to few
    assert pair.comparison.finding is Finding.WORSE
    assert analysis.sentence(pair) == "q2_k is worse than q8_0, by 100.0 points"
    assert len(found["quantization"].single) == 2
    (pair,) = found["prompt"].overall
    assert pair.comparison.difference == 0


def test_the_pareto_front_is_what_no_other_beats() -> None:
    points = [(1.0, 50.0), (2.0, 40.0), (3.0, 60.0), (3.0, 55.0), (0.5, 10.0)]
    assert analysis.front(points) == [True, False, True, False, True]


def test_points_that_meet_have_one_label(tmp_path: Path) -> None:
    costs = (1.0, 1.001, 1.002, 5.0, 5.001, 9.0)
    folders = [
        make_run(tmp_path / str(number), [True], {"model": f"m{number}"}, seconds=seconds)
        for number, seconds in enumerate(costs)
    ]
    drawn = plots(report.collect(folders))["d-cost-seconds"]
    assert re.findall(">(#[^<]*)<", drawn) == ["#1–3", "#4–5", "#6"]


def test_neighbours_are_told_as_spans() -> None:
    assert spans([1, 2, 3, 7, 9, 10]) == "1–3,7,9–10"


def test_rare_topics_are_folded_away(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [True] * 4)
    topics = [["strings", "rare"], ["strings"], ["strings"], ["dates"]]
    problems = [json.loads(line) for line in (folder / "problems.jsonl").read_text().splitlines()]
    (folder / "problems.jsonl").write_text(
        "".join(
            f"{json.dumps({**problem, 'topics': own})}\n"
            for problem, own in zip(problems, topics, strict=True)
        )
    )
    page = report.write(report.collect([folder]), tmp_path / "out").page.read_text()
    folded = page.index("Topics with fewer than 3 problems: 2")
    assert page.index(">strings<") < folded < page.index(">dates<") < page.index(">rare<")


def test_right_programs_in_the_wrong_format_are_told_apart(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [True, True, False], format_kept=False)
    (run,) = report.collect([folder]).runs
    found = analysis.extraction(run)
    assert (found.strict, found.ours, found.rescued, found.wrong) == (0.0, 2 / 3, 2, 1)
    assert found.sanitizer is None


def test_markdown_holds_one_row_per_run_and_no_markup_of_others(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name, [True], {"prompt": f"{name}|x<b>"}) for name in "ab"]
    table = markdown(report.collect(folders))
    rows = [line for line in table.splitlines() if line.startswith("| a") or "| b" in line[:4]]
    assert len(rows) == 2
    assert "a\\|x&lt;b&gt;" in table


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No run in"):
        report.collect([tmp_path])
    with pytest.raises(StoreError, match="There is no folder"):
        report.collect([tmp_path / "missing"])


def test_runs_of_earlier_versions_have_gaps_and_no_errors(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [True, False])
    for name in ("problems", "samples", "generations"):
        (folder / f"{name}.jsonl").unlink()
    written = report.write(report.collect([folder]), tmp_path / "out")
    assert "50.0" in written.page.read_text()


def test_failed_jobs_are_named(tmp_path: Path) -> None:
    make_run(tmp_path / "0", [True])
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "failure.txt").write_text("no <weights>\n")
    collection = report.collect([tmp_path])
    assert [reason for _, reason in collection.failures] == ["no <weights>"]
    assert "no &lt;weights&gt;" in report.write(collection, tmp_path).page.read_text()


@pytest.mark.parametrize(
    ("program", "valid", "kind"),
    [("def f(:", False, "syntax_error"), ("", False, "no_code"), ("g = 1", True, "no_code")],
)
def test_a_program_that_python_refuses_is_a_syntax_error(
    program: str, valid: bool, kind: str
) -> None:
    verdict = Verdict("p", 0, Outcome.NO_CODE, Outcome.NO_CODE, 0, 1, 0, 0)
    assert Sample("p", 0, "text", program, verdict, False, valid).kind == kind


def test_every_kind_has_its_colour_on_the_page_and_in_the_plots() -> None:
    style = (Path(page.__file__).parent / "templates" / "page.css").read_text()
    for kind in KINDS:
        assert style.count(f"--{kind}: ") == 2, "by day and by night"
    assert set(KIND_COLOURS) == set(analysis.ALL_KINDS)


def test_published_figures_stand_beside_the_measured(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", [True], {"dataset": "humaneval_plus"})
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(
        "model: {published: {humaneval: 42.1, humaneval_plus: 36.0, source: Some board}}\n"
    )
    (run,) = report.collect([folder]).runs
    assert run.metrics["published/plus"] == pytest.approx(0.36)
    assert run.metrics["published/base"] == pytest.approx(0.421)
    page = report.write(report.collect([folder]), tmp_path).page.read_text()
    assert "36.0" in page
    assert "42.1" in page
    assert "Some board" in page


PLAIN = Dataset(
    "d",
    "0" * 64,
    tuple(Problem(f"p{i}", "f", "", "", ((1,), (2,)), ((3,),)) for i in range(3)),
)


def eval_results(folder: Path, status: list[tuple[str, str]]) -> Path:
    entries = {
        f"p{i}": [{"solution": "x", "base_status": base, "plus_status": plus,
                   "base_fail_tests": [[1]] if base != "pass" else [], "plus_fail_tests": []}]
        for i, (base, plus) in enumerate(status)
    }  # fmt: skip
    file = folder / "samples_eval_results.json"
    file.write_text(json.dumps({"eval": entries}))
    return file


def test_results_of_evalplus_become_a_run(tmp_path: Path) -> None:
    file = eval_results(tmp_path, [("pass", "pass"), ("pass", "fail"), ("fail", "pass")])
    (tmp_path / "run").mkdir()
    report.import_evalplus(file, PLAIN, "theirs", tmp_path / "run")
    found = report.read_report(tmp_path / "run")
    assert found.metrics["pass_at_1/base"] == pytest.approx(2 / 3)
    assert found.metrics["pass_at_1/plus"] == pytest.approx(1 / 3)  # base and extra together
    assert found.labels["model"] == "theirs"
    ours = make_run(tmp_path / "ours", [True, True, False])
    (group,) = report.collect([ours, tmp_path / "run"]).groups
    assert len(group.runs) == 2
    assert analysis.against_the_best(group)[0].comparison.problems == 3


def test_a_file_that_is_not_evalplus_is_told(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text('{"eval": {"p0": [{"base_status": "odd", "solution": ""}]}}')
    with pytest.raises(StoreError, match="no result of EvalPlus"):
        report.import_evalplus(file, PLAIN, "x", tmp_path / "run")
    other = Dataset("other", "1", PLAIN.problems[:1])
    with pytest.raises(DatasetError, match="p1 is not in other"):
        report.import_evalplus(
            eval_results(tmp_path, [("pass", "pass")] * 2), other, "x", tmp_path / "run"
        )


def test_the_answer_is_on_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [i < 5 for i in range(80)]
    many = [i < 70 for i in range(80)]
    make_run(tmp_path / "0", many, {"prompt": "cot"})
    make_run(tmp_path / "1", few, {"prompt": "plain"})
    make_run(tmp_path / "2", few, {"prompt": "few_shot"})
    monkeypatch.setattr("experiments.environment.terminal.results.width", 200)
    report.show_comparisons(report.collect([tmp_path]))
    told = capsys.readouterr().out
    assert "cot solves 87.5 % of the 80 problems in d (95 % interval" in told
    assert "It is better than each of the other 2." in told
    assert "plain is worse than cot, by 81.2 points" in told
    assert "plain and few_shot differ by less than 5 points" in told or "would show" in told


def test_a_copy_of_a_model_is_told_as_such(tmp_path: Path) -> None:
    program = "def f(x):\n    return 2 * x\n"
    for name in ("model", "copy"):
        make_run(tmp_path / name, [True, False], {"model": name}, program)
    (group,) = report.collect([tmp_path]).groups
    (pair,) = analysis.against_the_best(group)
    assert pair.comparison.finding is Finding.SAME
    assert analysis.sentence(pair) == "model and copy wrote the same programs"
    assert (pair.comparison.low, pair.comparison.high) == (0.0, 0.0)


def test_runs_that_are_equal_share_the_first_place(tmp_path: Path) -> None:
    for name in "abc":
        make_run(tmp_path / name, [True, False], {"prompt": name})
    (group,) = report.collect([tmp_path]).groups
    assert analysis.headline(group).startswith("a, b and c solve 50.0 % of the 2 problems")
