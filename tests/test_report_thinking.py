"""What thinking is worth: pairs that differ in it alone, and what a solved problem takes."""

import json
from pathlib import Path

import pytest
from test_report import make_run

from experiments import report
from experiments.report import thinking
from experiments.report.markdown import markdown
from experiments.stats.comparing import Finding

PROBLEMS = 40


def make(
    folder: Path,
    solved: int,
    mode: str = "",
    tokens: int = 100,
    thought: int = 0,
    unfinished: float = 0.0,
    default: str = "",
    **labels: str,
) -> Path:
    """Write a run that solves so many problems of 40, with so many tokens for each."""
    given = {"thinking": mode} if mode else {}
    passed = [place < solved for place in range(PROBLEMS)]
    make_run(folder, passed, {**labels, **given})
    rows = [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"new_tokens": tokens, "key": row["problem_id"]}
    (folder / "generations.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics |= {"tokens/new": tokens * PROBLEMS, "cost/seconds_per_solved_problem": tokens / 10}
    if thought:
        metrics |= {"tokens/thought": thought * PROBLEMS, "thoughts/unfinished": unfinished}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / ".hydra").mkdir()
    config = {"model": {"thinking": {"default": default}}, "thinking": mode or None}
    (folder / ".hydra" / "config.yaml").write_text(json.dumps(config))
    return folder


def found(folder: Path) -> list[thinking.Worth]:
    collection = report.collect([folder])
    return thinking.worth(collection.groups[0], collection.labels)


def test_thinking_is_told_by_what_it_solves_and_what_a_solved_problem_takes(tmp_path: Path) -> None:
    make(tmp_path / "a", 10, "off", 50)
    make(tmp_path / "b", 30, "on", 900, thought=810, unfinished=0.1)
    (each,) = found(tmp_path)
    assert (each.less, each.more, each.comparison.finding) == ("off", "on", Finding.BETTER)
    assert each.comparison.difference == pytest.approx(0.5)
    assert thinking.tokens_per_solved(each.run) == 900 * 40 / 30
    assert thinking.tokens_per_solved(each.base) == 50 * 40 / 10
    assert thinking.thought_share(each.run) == pytest.approx(0.9)
    assert thinking.costs(each) == (
        "Per solved problem, thinking=on took 90.00 s and 1,200 tokens, "
        "thinking=off took 5.00 s and 200 tokens."
    )
    assert "10 % of the thoughts of thinking=on were not finished" in thinking.remedy(each)
    assert "sampling.max_tokens" in thinking.remedy(each)


def test_a_pair_differs_in_nothing_else(tmp_path: Path) -> None:
    make(tmp_path / "a", 10, "off", prompt="plain")
    make(tmp_path / "b", 30, "on", prompt="cot")
    assert found(tmp_path) == []
    make(tmp_path / "c", 20, "on", prompt="plain")
    (each,) = found(tmp_path)
    assert (each.context, each.base.labels["prompt"], each.run.labels["prompt"]) == (
        "plain",
        "plain",
        "plain",
    )


def test_each_mode_is_held_against_the_one_that_thinks_least(tmp_path: Path) -> None:
    for mode in ("low", "high", "medium"):
        make(tmp_path / mode, 20, mode)
    assert [(each.less, each.more) for each in found(tmp_path)] == [
        ("low", "medium"),
        ("low", "high"),
    ]


def test_a_mode_that_was_left_to_the_model_is_its_default(tmp_path: Path) -> None:
    make(tmp_path / "a", 10, "off")
    make(tmp_path / "b", 30, default="on")
    make(tmp_path / "c", 20, model="that cannot think")
    ((less, more),) = [(each.less, each.more) for each in found(tmp_path)]
    assert (less, more) == ("off", "on")


def test_runs_that_do_not_differ_in_thinking_have_no_section(tmp_path: Path) -> None:
    make(tmp_path / "a", 10, "on", prompt="plain")
    make(tmp_path / "b", 30, "on", prompt="cot")
    collection = report.collect([tmp_path])
    page = report.write(collection, tmp_path / "out").page.read_text()
    assert "What thinking is worth" not in page
    assert "what thinking is worth" not in markdown(collection)


def test_page_markdown_and_screen_tell_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a", 0, "off", 50)
    make(tmp_path / "b", 30, "on", 900, thought=810, unfinished=0.25)
    collection = report.collect([tmp_path])
    page = report.write(collection, tmp_path / "out").page.read_text()
    section = page[page.index('id="thinking-0"') : page.index('id="axes-0"')]
    for cell in ("75.0 : 0.0", "1,200 : –", "90.0 : 0.0", "25.0 : 0.0", "<b>better</b>"):
        assert f"<td>{cell}</td>" in section
    assert "25 % of the thoughts of thinking=on were not finished" in section
    table = markdown(collection)
    assert "- thinking=on is better than thinking=off, by 75.0 points. Per solved problem" in table
    report.show_collection(collection)
    told = " ".join(capsys.readouterr().out.split())
    assert "thinking=on took 90.00 s and 1,200 tokens, thinking=off solved none." in told
