"""Many runs of many folders: what tells them apart, which belong together, which are broken."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_report import make_run

from experiments import report
from experiments.errors import StoreError
from experiments.records import Generation
from experiments.report import labels
from experiments.report.analysis import headline, named
from experiments.report.recommending import advised, recommend
from experiments.store.files import read_lines, to_generation, write_records


def configured(folder: Path, **settings: Any) -> Path:
    """Give a run's folder the configuration that Hydra would have left."""
    (folder / ".hydra").mkdir(exist_ok=True)
    (folder / ".hydra" / "config.yaml").write_text(json.dumps(settings))
    return folder


def generations(folder: Path, change: Any) -> None:
    """Change a run's generations."""
    path = folder / "generations.jsonl"
    write_records(path, [change(each) for each in read_lines(path, to_generation)])


def seeded(folder: Path, seed: int, passed: Sequence[bool], **settings: Any) -> Path:
    """Write a run whose generations are those of its seed."""
    make_run(folder, list(passed), {"seed": str(seed)}, f"def f(x): return {seed}")
    generations(folder, lambda g: replace(g, key=f"{g.problem_id} {seed}", text=f"text {seed}"))
    return configured(folder, seed=seed, **settings)


# Labels


def test_only_settings_that_matter_tell_runs_apart(tmp_path: Path) -> None:
    beside = {"tracking.enabled": "false", "store": "/s", "hydra/launcher": "joblib", "seed": "3"}
    make_run(tmp_path / "a", [True], {"prompt": "plain"})
    make_run(tmp_path / "b", [True], {"prompt": "cot", **beside, "experiment": "ladder"})
    collection = report.collect([tmp_path])
    assert collection.labels == ("prompt",)
    assert {run.name for run in collection.runs} == {"plain", "cot"}


def test_a_default_is_told_by_its_value(tmp_path: Path) -> None:
    for name, said, temperature in (("a", {}, 0.0), ("b", {"sampling.temperature": "0.8"}, 0.8)):
        folder = make_run(tmp_path / name, [True], said)
        configured(folder, sampling={"temperature": temperature}, backend={"_target_": "x"})
    assert {run.name for run in report.collect([tmp_path]).runs} == {"0.0", "0.8"}


def test_what_is_said_and_is_the_default_anyway_is_no_difference(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [True])
    make_run(tmp_path / "b", [True], {"sampling.temperature": "0"})
    for name in "ab":
        configured(tmp_path / name, sampling={"temperature": 0})
    assert report.collect([tmp_path]).labels == ()


def test_no_limit_is_told_as_all_problems() -> None:
    found = labels.effective({}, ["limit", "thinking"], {"limit": None, "thinking": None}, dict)
    assert found == {"limit": "all", "thinking": "null"}


def test_a_group_at_its_default_is_told_by_hydras_notes() -> None:
    found = labels.effective({}, ["backend"], {"backend._target_": "x"}, lambda: {"backend": "own"})
    assert found == {"backend": "own"}


# Seeds


def test_seeds_of_one_question_are_samples_of_it(tmp_path: Path) -> None:
    seeded(tmp_path / "0", 1, [True, True, False])
    seeded(tmp_path / "1", 2, [True, False, False])
    collection = report.collect([tmp_path])
    (run,) = collection.runs
    assert run.rates == {"p0": 1.0, "p1": 0.5, "p2": 0.0}
    assert run.metrics["pass_at_1/plus"] == pytest.approx(0.5)
    assert run.metrics["pass_at_2/plus"] == pytest.approx(2 / 3)
    assert run.metrics["pass_all_2/plus"] == pytest.approx(1 / 3)
    assert [sample.sample for sample in run.samples] == [0, 1] * 3
    assert collection.notes == ("2 runs differ in the seed alone: samples of the same question.",)


def test_other_settings_make_another_question(tmp_path: Path) -> None:
    seeded(tmp_path / "0", 1, [True], sampling={"temperature": 0.5})
    seeded(tmp_path / "1", 2, [True], sampling={"temperature": 0.8})
    assert len(report.collect([tmp_path]).runs) == 2


def test_a_run_that_repeats_another_word_for_word_is_left_out_and_told(tmp_path: Path) -> None:
    seeded(tmp_path / "0", 1, [True, False])
    seeded(tmp_path / "1", 1, [True, False])
    collection = report.collect([tmp_path])
    assert len(collection.runs) == 1
    assert collection.notes == ("Left out, since they repeat others word for word: 1 run.",)
    assert collection.notes[0] in report.write(collection, tmp_path).page.read_text()


def test_pooled_samples_cost_what_the_store_says(tmp_path: Path) -> None:
    def timed(generation: Generation) -> Generation:
        return replace(generation, new_tokens=10, wall_seconds=2.0, made_on="here")

    for seed in (1, 2):
        generations(seeded(tmp_path / str(seed), seed, [True, True]), timed)
    (run,) = report.collect([tmp_path]).runs
    assert run.metrics["speed/tokens_per_second"] == 5.0
    assert run.metrics["cost/seconds_per_problem"] == 4.0


# Order


def test_a_run_of_one_problem_does_not_lead(tmp_path: Path) -> None:
    make_run(tmp_path / "one", [True], {"limit": "1"})
    make_run(tmp_path / "all", [True] * 40 + [False] * 20, {"limit": "60"})
    (group,) = report.collect([tmp_path]).groups
    assert [run.name for run in group.runs] == ["60", "1"]
    assert headline(group).startswith("60 solves 66.7 % of the 60 problems")


# Broken runs


def broken(folder: Path, name: str, content: bytes) -> None:
    make_run(folder, [True, False])
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("metrics.json", b"", "metrics.json cannot be read: it is empty"),
        ("metrics.json", b"{", "metrics.json cannot be read"),
        ("manifest.json", b"[]", "manifest.json cannot be read"),
        (".hydra/config.yaml", b"model: [\n\t", "config.yaml cannot be read"),
        (".hydra/config.yaml", b"\xff\xfe\x00", "config.yaml cannot be read"),
        (".hydra/config.yaml", b"a: ${nowhere", "config.yaml cannot be read"),
        (".hydra/config.yaml", b"a: &x [1]\nb: [*x, *x]", "it has aliases"),
        ("manifest.json", b'{"labels": {}, "weights": "many"}', "cannot be read"),
        ("verdicts.jsonl", b"", "has verdicts on 0 of 2 problems. Restore the file"),
        ("samples.jsonl", "{}\n{}\n".encode("utf-16"), "samples.jsonl cannot be read"),
        ("generations.jsonl", b"\x00\n", "generations.jsonl cannot be read"),
    ],
)
def test_a_broken_run_is_told_in_a_line_and_the_others_are_shown(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    broken(tmp_path / "0", name, content)
    make_run(tmp_path / "1", [True])
    collection = report.collect([tmp_path])
    ((folder, reason),) = collection.failures
    assert folder.name == "0"
    assert told in reason
    assert "\n" not in reason
    assert len(collection.runs) == 1
    assert "Jobs that failed: 1" in report.write(collection, tmp_path).page.read_text()
    with pytest.raises(StoreError):
        report.collect([tmp_path / "0"])


@pytest.mark.parametrize("content", [b"a: [\n\t", b"\xff\xfe", b"3", b"hydra: 3", b""])
def test_a_broken_note_of_hydra_is_told_and_the_run_is_shown(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for name, labels_of_run in (("0", {"limit": "3"}), ("1", {"+x": "3"})):
        configured(make_run(tmp_path / name, [True], labels_of_run))
        (tmp_path / name / ".hydra" / "hydra.yaml").write_bytes(content)
    (tmp_path / "multirun.yaml").write_bytes(content)
    collection = report.collect([tmp_path])
    assert len(collection.runs) == 2
    assert not collection.failures
    if content.startswith((b"a", b"\xff")):
        assert "multirun.yaml cannot be read" in caplog.text


def test_reading_a_run_resolves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hush-hush")
    secret = "${oc.env:TOKEN}"
    for name, more in (("0", {"limit": "3"}), ("1", {"note": "x"})):
        folder = make_run(tmp_path / name, [True], {"limit": "1", **more})
        configured(folder, limit=secret, note=secret, model={"name": secret})
        notes = {"hydra": {"overrides": {"task": [secret]}, "runtime": {"choices": {"a": secret}}}}
        (folder / ".hydra" / "hydra.yaml").write_text(json.dumps(notes))
        (tmp_path / "multirun.yaml").write_text(json.dumps(notes))
    written = report.write(report.collect([tmp_path]), tmp_path)
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and b"hush-hush" in path.read_bytes()
    ]
    assert "oc.env:TOKEN" in written.page.read_text()


def test_a_password_of_an_earlier_run_is_in_no_report(tmp_path: Path) -> None:
    for name, uri in (("0", "postgresql://me:hush@a/b"), ("1", "postgresql://me:hush@a/c")):
        configured(make_run(tmp_path / name, [True], {"model.api.base_url": uri}), x=uri)
    notes = {"hydra": {"overrides": {"task": ["tracking.uri=postgresql://me:hush@a/b"]}}}
    (tmp_path / "multirun.yaml").write_text(json.dumps(notes))
    written = report.write(report.collect([tmp_path]), tmp_path)
    for path in (written.page, written.table):
        assert "me:***@a" in path.read_text() or path.suffix == ".md"
        assert "hush" not in path.read_text()


def test_a_report_is_written_below_its_own_folder(tmp_path: Path) -> None:
    for name in ("../../../outside", "/tmp/outside", "a/b", "a_b"):
        make_run(tmp_path / "runs" / name.replace("/", "-"), [True, False], {"dataset": name})
    before = {path for path in tmp_path.rglob("*") if "runs" not in path.parts}
    written = report.write(report.collect([tmp_path / "runs"]), tmp_path / "runs")
    assert written.figures
    assert all(path.parent == tmp_path / "runs" / "figures" for path in written.figures)
    assert all(path.is_file() for path in written.figures)
    assert len(set(written.figures)) == len(written.figures)
    assert {path for path in tmp_path.rglob("*") if "runs" not in path.parts} == before


def test_figures_are_not_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    make_run(tmp_path / "runs" / "0", [True, False])
    (tmp_path / "runs" / "figures").symlink_to(outside)
    with pytest.raises(StoreError, match="a link"):
        report.write(report.collect([tmp_path / "runs"]), tmp_path / "runs")
    assert not list(outside.iterdir())


def test_a_job_that_was_stopped_is_among_the_failures(tmp_path: Path) -> None:
    make_run(tmp_path / "0", [True])
    configured(tmp_path / "0")
    (tmp_path / "1").mkdir()
    configured(tmp_path / "1")
    ((folder, reason),) = report.collect([tmp_path]).failures
    assert folder.name == "1"
    assert reason.startswith("it has no result: its process was stopped, or died")


# Recommendation


def offered(folder: Path, passed: int, megabytes: float, seconds: float) -> None:
    run = make_run(folder, [n < passed for n in range(80)], {"model": folder.name}, seconds=seconds)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["engine/peak_memory_megabytes"] = megabytes
    (run / "metrics.json").write_text(json.dumps(metrics))


def test_the_best_within_each_limit_is_recommended(tmp_path: Path) -> None:
    offered(tmp_path / "large", 70, 7000, 12.0)
    offered(tmp_path / "twin", 69, 7500, 14.0)
    offered(tmp_path / "small", 20, 900, 2.0)
    (group,) = report.collect([tmp_path]).groups
    assert [f"{each.limit}: {advised(each)}" for each in recommend(group)] == [
        "4 GB of memory: small (25.0 %)",
        "8 and 16 GB of memory: large (87.5 %), not distinguishable from twin",
        "1 s per completion: none of the runs",
        "5 s per completion: small (25.0 %)",
        "15 s per completion: large (87.5 %), not distinguishable from twin",
    ]
    written = report.write(report.collect([tmp_path]), tmp_path)
    assert "large (87.5 %), not distinguishable from twin" in written.page.read_text()
    assert "large (87.5 %), not distinguishable from twin" in written.table.read_text()


def test_one_run_needs_no_recommendation_and_unknown_costs_give_none(tmp_path: Path) -> None:
    offered(tmp_path / "a", 3, 100, 1.0)
    (group,) = report.collect([tmp_path]).groups
    assert recommend(group) == []
    for name in "bc":
        make_run(tmp_path / "others" / name, [True], {"model": name})
    (group,) = report.collect([tmp_path / "others"]).groups
    assert recommend(group) == []


def test_who_solved_nothing_is_not_recommended(tmp_path: Path) -> None:
    offered(tmp_path / "a", 0, 900, 2.0)
    offered(tmp_path / "b", 0, 900, 2.0)
    assert {each.run for each in recommend(report.collect([tmp_path]).groups[0])} == {None}


def test_those_who_are_meant_are_named(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [True] * 80, {"model": "a"})
    make_run(tmp_path / "b", [True] * 79 + [False], {"model": "b"})
    make_run(tmp_path / "c", [True] * 20 + [False] * 60, {"model": "c"})
    (group,) = report.collect([tmp_path]).groups
    assert headline(group).endswith("Of the other 2, b is not shown to be worse.")
    assert named(["a"]) == "a"
    assert named(list("abcd")) == "a, b, c and d"
    assert named(list("abcdef")) == "a, b, c and 3 others"


def test_a_run_of_one_problem_is_not_recommended(tmp_path: Path) -> None:
    make_run(tmp_path / "0", [True], {"limit": "1"}, seconds=0.5)
    make_run(tmp_path / "1", [True] * 20 + [False] * 2, {"limit": "22"}, seconds=0.5)
    advice = recommend(report.collect([tmp_path]).groups[0])
    assert {each.run.report.folder.name for each in advice if each.run} == {"1"}


def test_sampling_that_was_left_open_is_told_as_it_was_used(tmp_path: Path) -> None:
    for name, labels_of_run, used in (("0", {}, 1), ("1", {"sampling.samples": "4"}, 4)):
        folder = configured(make_run(tmp_path / name, [True], labels_of_run))
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["sampling"] = {"samples": used}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    runs = report.collect([tmp_path]).runs
    assert sorted(run.name for run in runs) == ["1", "4"]
