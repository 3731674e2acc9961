"""Logging to MLflow in the background."""

import logging
from pathlib import Path

import pytest

from experiments.records import (
    FinishReason,
    Generation,
    Message,
    Outcome,
    Prompt,
    Solution,
    Verdict,
)
from experiments.tracking import (
    Answer,
    Tracker,
    TrackingError,
    fetch,
    is_run_id,
    open_tracker,
)


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return open_tracker(f"sqlite:///{tmp_path}/db/mlflow.db", str(tmp_path / "artifacts"), "x")


def answer(number: int, passed: bool) -> Answer:
    outcome = Outcome.PASSED if passed else Outcome.WRONG_ANSWER
    return Answer(
        Prompt(f"p{number}", "f", (Message("user", "Write f"),)),
        Generation("k", f"p{number}", 0, "text ünd", FinishReason.END_TOKEN, 5, 0, 7),
        Solution(f"p{number}", 0, "def f(): ...", True, True),
        Verdict(f"p{number}", 0, outcome, outcome, int(passed), 1, 0, 0),
    )


def test_what_is_logged_in_the_background_is_all_there(tracker: Tracker, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text("{}")
    run = tracker.start("name")
    with tracker.live(run) as live:
        live.parameters({"a": {"b": 1}})
        live.step(3, {"progress/generations": 3.0})
        live.step(4, {"progress/generations": 4.0})  # too soon after the one before
        live.step(5, {"progress/generations": 5.0})  # as well, but the last
        answers = [answer(number, number % 2 == 0) for number in range(3)]
        live.results({"pass": 0.5}, tmp_path / "run", answers, "**half**")
    tracker.finish(run, succeeded=True)
    client = MlflowClient(tracking_uri=tracker.uri)
    found = client.get_run(run)
    assert found.data.params["a.b"] == "1"
    assert found.data.metrics["pass"] == 0.5
    steps = client.get_metric_history(run, "progress/generations")
    assert [(metric.step, metric.value) for metric in steps] == [(3, 3.0), (5, 5.0)]
    assert found.data.tags["mlflow.note.content"] == "**half**"
    assert [file.path for file in client.list_artifacts(run)] == ["metrics.json"]
    traces = client.search_traces(locations=[tracker.experiment_id], run_id=run)
    assert {t.info.tags["problem"]: t.info.tags["outcome"] for t in traces} == {
        "p0": "passed",
        "p1": "wrong_answer",
        "p2": "passed",
    }
    assert {span.outputs["text"] for trace in traces for span in trace.data.spans} == {"text ünd"}


def test_a_failure_in_the_background_is_a_warning(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise TrackingError("MLflow is gone")

    monkeypatch.setattr(Tracker, "log_parameters", fail)
    run = tracker.start("name")
    with caplog.at_level(logging.WARNING), tracker.live(run) as live:
        live.parameters({"a": 1})
        live.parameters({"b": 1})
    assert caplog.text.count("MLflow is gone") == 1


def test_run_ids_are_told_from_folders() -> None:
    assert is_run_id("0" * 31 + "f")
    assert not is_run_id("outputs/2026-01-31/12-00-00")


def test_texts_of_several_lines_are_parameters_that_tell_equal_ones_from_others(
    tracker: Tracker,
) -> None:
    from mlflow import MlflowClient

    run = tracker.start("name")
    long = "Write the function.\n" * 100
    tracker.log_parameters(run, {"a": long, "b": long, "c": f"{long}!", "d": "short\n"})
    found = MlflowClient(tracking_uri=tracker.uri).get_run(run).data.params
    assert found["a"] == found["b"] != found["c"]
    assert found["a"].startswith("Write the function.")
    assert "\n" not in found["a"]
    assert found["d"] == "short"


def test_a_program_keeps_its_lines_in_a_trace(tracker: Tracker, tmp_path: Path) -> None:
    from dataclasses import replace

    from mlflow import MlflowClient

    given = answer(0, passed=False)
    program = 'def f():\n    return """```"""\n'
    run = tracker.start("name")
    tracker.log_traces(run, [replace(given, solution=replace(given.solution, program=program))])
    client = MlflowClient(tracking_uri=tracker.uri)
    (trace,) = client.search_traces(locations=[tracker.experiment_id], run_id=run)
    assert trace.data.spans[0].outputs["program"] == f"````python\n{program}````"
    assert {a.name: a.feedback.value for a in trace.info.assessments} == {
        "passed": False,
        "format_kept": True,
    }


def test_a_sweep_has_a_view_of_its_jobs(tracker: Tracker) -> None:
    import json

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracker.uri)
    sweep = tracker.start("sweep")
    job = tracker.start("job", parent=sweep)
    tracker.start("another")
    tracker.keep_view(sweep)
    tags = client.get_experiment(tracker.experiment_id).tags
    view = json.loads(tags[f"mlflow.sharedViewState.{sweep}"])
    assert "metrics.`pass_at_1/plus`" in view["selectedColumns"]
    order = [f"{view['orderByKey']} DESC"]
    found = client.search_runs([tracker.experiment_id], view["searchFilter"], order_by=order)
    assert [run.info.run_id for run in found] == [job]


def test_an_unknown_run_is_told_with_what_to_type(tracker: Tracker, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=f"There is no run {'0' * 32} in MLflow.*--uri"):
        fetch(tracker.uri, "0" * 32, tmp_path)


def test_the_jobs_of_a_sweep_are_fetched(
    tracker: Tracker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    sweep = tracker.start("sweep")
    for _ in range(2):
        tracker.log_files(tracker.start("job", parent=sweep), [tmp_path / "metrics.json"])
    folder = fetch(tracker.uri, sweep, tmp_path / "fetched")
    assert len(list(folder.glob("*/metrics.json"))) == 2
    assert "Downloading" not in capfd.readouterr().err
