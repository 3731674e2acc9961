"""Logging to MLflow in the background."""

from __future__ import annotations

import logging
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiments.records import (
    Dataset,
    FinishReason,
    Generation,
    Message,
    Outcome,
    Prompt,
    Solution,
    Verdict,
)
from experiments.tracking import host, watch
from experiments.tracking.client import Tracker, fetch, is_run_id, open_tracker
from experiments.tracking.errors import TrackingError
from experiments.tracking.host import call
from experiments.tracking.live import ANSWERS_AT_ONCE, Beginning, Live
from experiments.tracking.traces import Answer, trace

if TYPE_CHECKING:
    from mlflow.entities import Run


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


def begin(tracker: Tracker, tmp_path: Path, **given: Any) -> Live:
    return Live(Beginning(tracker.uri, str(tmp_path / "artifacts"), "x", "name", **given))


def runs(tracker: Tracker) -> list[Run]:
    from mlflow import MlflowClient

    return list(MlflowClient(tracking_uri=tracker.uri).search_runs([tracker.experiment_id]))


def only_run(tracker: Tracker) -> Run:
    (run,) = runs(tracker)
    return run


def test_what_is_logged_in_the_background_is_all_there(tracker: Tracker, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text("{}")
    live = begin(tracker, tmp_path, tags={"kind": "run"})
    live.parameters({"a.b": 1})
    live.step(3, {"progress/generations": 3.0})
    live.step(4, {"progress/generations": 4.0})  # too soon after the one before
    live.step(5, {"progress/generations": 5.0})  # as well, but the last
    for number in range(ANSWERS_AT_ONCE + 2):
        live.answer(answer(number, number % 2 == 0))
    live.results({"pass": 0.5}, tmp_path / "run", "**half**")
    live.close("FINISHED")
    found = only_run(tracker)
    run = found.info.run_id
    client = MlflowClient(tracking_uri=tracker.uri)
    assert found.info.status == "FINISHED"
    assert found.data.tags["kind"] == "run"
    assert found.data.params["a.b"] == "1"
    assert found.data.metrics["pass"] == 0.5
    steps = client.get_metric_history(run, "progress/generations")
    assert [(metric.step, metric.value) for metric in steps] == [(3, 3.0), (5, 5.0)]
    assert found.data.tags["mlflow.note.content"] == "**half**"
    assert [file.path for file in client.list_artifacts(run)] == ["metrics.json"]
    traces = client.search_traces(locations=[tracker.experiment_id], run_id=run)
    assert {t.info.tags["problem"]: t.info.tags["outcome"] for t in traces} == {
        f"p{number}": "wrong_answer" if number % 2 else "passed"
        for number in range(ANSWERS_AT_ONCE + 2)
    }
    assert {span.outputs["text"] for trace in traces for span in trace.data.spans} == {"text ünd"}


def test_a_run_without_traces_has_none(tracker: Tracker, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    live = begin(tracker, tmp_path, traces=False)
    live.answer(answer(0, passed=True))
    live.close("FINISHED")
    client = MlflowClient(tracking_uri=tracker.uri)
    assert not client.search_traces(locations=[tracker.experiment_id])


def test_a_failure_in_the_background_is_a_warning(
    tracker: Tracker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = begin(tracker, tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            live.parameters({"a" * 300: 1})  # a name that MLflow does not take
        live.close("FINISHED")
    assert caplog.text.count("cannot be used") == 1
    assert only_run(tracker).info.status == "FAILED"


def test_a_run_that_cannot_begin_is_told_at_once_and_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "mlflow.db"
    folder.mkdir()
    live = Live(Beginning(f"sqlite:///{folder}", None, "x", "name"))
    live.parameters({"a": 1})
    live._thread.join()
    with pytest.raises(TrackingError, match="unable to open database file"):
        live.step(1, {})
    with caplog.at_level(logging.WARNING):
        live.close("FINISHED")
    assert caplog.text.count("cannot be used") == 1


@pytest.mark.skipif(find_spec("psycopg") is not None, reason="it is installed")
def test_a_driver_that_is_not_installed_is_told() -> None:
    with pytest.raises(TrackingError, match="No module named 'psycopg'"):
        call(open_tracker, "postgresql+psycopg://nowhere/db", None, "x")


def test_a_call_that_does_not_come_back_does_not_keep_the_process() -> None:
    code = (
        "import threading, time\n"
        "from experiments.tracking.host import call\n"
        "threading.Thread(target=call, args=(time.sleep, 60), daemon=True).start()\n"
        "time.sleep(1)\n"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], timeout=50, check=True, capture_output=True)
    assert time.monotonic() - began < 30


def test_what_is_printed_meanwhile_is_no_reply() -> None:
    assert call(print, "hello") is None
    assert call(divmod, 7, 2) == (3, 1)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.25])
def test_a_database_whose_creation_was_cut_short_is_made_again(
    tmp_path: Path, seconds: float
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    call(os.getpid)  # it has imported MLflow
    opening = threading.Thread(target=_swallow, args=(lambda: call(open_tracker, uri, None, "x"),))
    opening.start()
    while not list(tmp_path.glob("mlflow.db.part*")) and opening.is_alive():
        time.sleep(0.002)
    time.sleep(seconds)
    assert host._current is not None
    host._current._process.kill()
    opening.join()
    assert call(open_tracker, uri, None, "x").experiment_id
    assert not list(tmp_path.glob("*.part*"))


def _swallow(call_that_fails: Callable[[], object]) -> None:
    with suppress(TrackingError):
        call_that_fails()


def test_a_dead_process_is_told_with_what_it_wrote(
    tracker: Tracker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = begin(tracker, tmp_path)
    while not runs(tracker):
        time.sleep(0.05)
    with pytest.raises(TrackingError, match=r"died \(exit code 3\)"):
        call(os._exit, 3)
    with caplog.at_level(logging.WARNING):
        live.close("FINISHED")
    assert call(os.getpid) != os.getpid()  # another has taken its place


def test_a_library_that_mlflow_cannot_do_without_is_imported_after_all() -> None:
    code = (
        "from experiments.tracking import worker\n"
        "worker.IMPORTS = ((('sqlalchemy',), ()), *worker.IMPORTS[1:])\n"
        "worker.main()"
    )
    given = pickle.dumps((divmod, (7, 2), {}))
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True)
    assert pickle.loads(done.stdout) == (True, (3, 1))


@pytest.fixture
def worker() -> Iterator[host.Worker]:
    made = host.Worker()
    yield made
    made.close()


def test_what_logging_does_not_need_is_not_imported(worker: host.Worker) -> None:
    worker.call(exec, "import sys; assert not sys.modules['pandas']")


def test_what_was_imported_for_show_is_real_for_whoever_asks_later(worker: host.Worker) -> None:
    worker.call(exec, "import sys; assert not {'fastapi', 'mlflow.genai'} & {*sys.modules}")
    worker.call(exec, "import fastapi; fastapi.FastAPI()")
    assert _place(worker) == 0


@pytest.mark.parametrize(
    ("module", "used", "place"),
    [
        ("mlflow.utils.request_utils", "requests.Session", 1),
        ("mlflow.tracking.client", "BaseModel.model_validate", 2),
    ],
)
def test_what_was_imported_for_show_and_is_used_is_imported_after_all(
    worker: host.Worker, module: str, used: str, place: int
) -> None:
    worker.call(exec, f"import {module} as m; assert callable(m.{used})")
    assert _place(worker) == place


def test_a_process_that_begins_again_keeps_its_runs(tracker: Tracker, worker: host.Worker) -> None:
    run = worker.call(watch.begin, tracker, "name", None, {})
    worker.call(exec, "from mlflow.utils import request_utils as m; m.requests.Session")
    assert _place(worker) == 1
    time.sleep(watch.SECONDS_BETWEEN_SAMPLES + 2)
    assert "system/cpu_utilization_percentage" in only_run(tracker).data.metrics
    worker.close()
    assert only_run(tracker).info.run_id == run
    assert only_run(tracker).info.status == "KILLED"


def test_all_that_a_run_logs_needs_nothing_hollow(
    tracker: Tracker, tmp_path: Path, worker: host.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_current", worker)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text("{}")
    live = begin(tracker, tmp_path, tags={"kind": "run"})
    live.parameters({"a.b": 1})
    live.dataset(Dataset("some", "0" * 64, ()))
    live.step(3, {"progress/generations": 3.0})
    live.answer(answer(0, passed=True))
    live.results({"pass": 0.5}, tmp_path / "run", "**half**")
    time.sleep(watch.SECONDS_BETWEEN_SAMPLES + 2)
    live.close("FINISHED")
    found = only_run(tracker)
    assert found.info.status == "FINISHED"
    assert "system/cpu_utilization_percentage" in found.data.metrics
    assert found.inputs.dataset_inputs[0].dataset.name == "some"
    assert _place(worker) == 0


def test_an_interrupted_run_with_much_to_log_ends_as_killed(
    tracker: Tracker, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from test_tracking import answer\n"
        "from experiments.tracking.live import Beginning, Live\n"
        "live = Live(Beginning(sys.argv[1], None, 'x', 'name'))\n"
        "for number in range(2000): live.answer(answer(number, True))\n"
        "live.close('KILLED', 1.0)"
    )
    command = [sys.executable, "-c", code, tracker.uri]
    subprocess.run(command, cwd=Path(__file__).parent, check=True, timeout=120)
    deadline = time.monotonic() + 30
    while only_run(tracker).info.status == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert only_run(tracker).info.status == "KILLED"


def test_a_server_gets_the_number_of_tokens_once() -> None:
    for usage_in_span in (True, False):
        info, span = trace("1", "0" * 32, answer(0, passed=True), usage_in_span)
        assert info.token_usage["output_tokens"] == 7
        assert ("mlflow.chat.tokenUsage" in span.attributes) is usage_in_span


def _place(worker: host.Worker) -> int:
    return int(worker.call(eval, "__import__('sys').argv[1]"))


def test_traces_of_several_batches_and_runs_are_whole(tracker: Tracker) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracker.uri)
    for name, count in (("one", 3), ("other", 60)):
        run = tracker.start(name)
        tracker.log_traces(run, [answer(number, number % 3 == 0) for number in range(count)])
        traces = client.search_traces(
            locations=[tracker.experiment_id], run_id=run, max_results=100
        )
        found = {trace.info.tags["problem"]: trace for trace in traces}
        assert set(found) == {f"p{number}" for number in range(count)}
        for number in range(count):
            trace = found[f"p{number}"]
            assessed = {each.name: each.value for each in trace.info.assessments}
            assert assessed == {"passed": number % 3 == 0, "format_kept": True}
            assert trace.info.token_usage["output_tokens"] == 7
            (span,) = trace.data.spans
            assert span.outputs["program"] == "```python\ndef f(): ...\n```"
    assert "get_experiment" not in vars(_store(tracker))  # what MLflow shares is untouched


def test_traces_that_cannot_be_written_together_are_written_one_by_one(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def written() -> list[dict[str, Any]]:
        run = tracker.start("name")
        tracker.log_traces(run, [answer(number, passed=True) for number in range(3)])
        found = MlflowClient(tracker.uri).search_traces(
            locations=[tracker.experiment_id], run_id=run
        )
        by_problem = {trace.info.tags["problem"]: trace for trace in found}
        return [_lasting(by_problem[f"p{number}"].to_dict()) for number in range(len(found))]

    def refused(*given: Any, **others: Any) -> Any:
        monkeypatch.setattr(store, "log_spans", log_spans)
        log_spans(*given, **others)  # written, and rolled back
        raise MlflowException("deadlock")

    together = written()
    store = type(_store(tracker))
    log_spans = store.log_spans
    monkeypatch.setattr(store, "log_spans", refused)
    assert written() == together
    assert store.log_spans is log_spans
    assert len(together) == 3


def _lasting(part: Any) -> Any:
    """Return a trace without what differs whenever it is written."""
    if isinstance(part, dict):
        changing = re.compile("time|_id|Run|RequestId|artifact")
        return {k: _lasting(v) for k, v in part.items() if not changing.search(k)}
    if isinstance(part, list):
        return [_lasting(each) for each in part]
    return part


def _store(tracker: Tracker) -> object:
    from mlflow.tracing.client import TracingClient

    return TracingClient(tracker.uri).store


def test_a_bug_over_there_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        call(divmod, 1, 0)


def test_a_run_whose_process_was_killed_ends_as_killed(tracker: Tracker, tmp_path: Path) -> None:
    code = (
        "import os, sys; from experiments.tracking import watch\n"
        "from experiments.tracking.client import open_tracker\n"
        "from experiments.tracking.host import call\n"
        "call(watch.begin, call(open_tracker, sys.argv[1], None, 'x'), 'name', None, {})\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, tracker.uri], timeout=120)
    assert done.returncode == -9
    deadline = time.monotonic() + 30
    while only_run(tracker).info.status == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert only_run(tracker).info.status == "KILLED"


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
