"""Review queues in a real MLflow database: blind, brought home once, nothing lost."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from reviewed_runs import lines, make_run

from experiments import cli
from experiments.errors import StoreError, TrackingError
from experiments.review import queues
from experiments.review.choosing import choose
from experiments.review.grades import Grades
from experiments.review.queues import Collected, Queue
from experiments.review.rubric import load
from experiments.review.works import Work, works
from experiments.store import runs
from experiments.tracking.recorder import NewRun, Recorder

# MLflow's own, and the tests make errors of warnings
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Any type hint"),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow.*"),
]

RUBRIC = load("default", ROOT / "conf")
SECRETS = ("secretmodel", "q8_0", "plain")


class Reviewed:
    """Two runs in MLflow that have one work in common, and their folders."""

    def __init__(self, base: Path) -> None:
        self.uri = f"sqlite:///{base}/db/mlflow.db"
        self.folders = [base / "a", base / "b"]

    def make(self) -> None:
        programs = [f"def f(x):\n    return x + {number}\n" for number in range(3)]
        others = [programs[0], *(f"{program}# other\n" for program in programs[1:])]
        make_run(self.folders[0], [10, 9, 2], programs)
        make_run(self.folders[1], [10, 10, 2], others)
        for folder in self.folders:
            self.log(folder)

    def log(self, folder: Path, traces: bool = True) -> None:
        name = f"secretmodel {folder.name}"
        new = NewRun(self.uri, None, "x", name, folder, traces=traces, system_metrics=False)
        recorder = Recorder(new)
        recorder.end("FINISHED")
        assert recorder.wait(120)

    def works(self) -> list[Work]:
        return works(self.folders)

    def start(self, name: str, reviewers: tuple[str, ...] = ("alice", "bob")) -> list[Queue]:
        found = self.works()
        choice = choose(found, 60, 0)
        return queues.start(found, choice, self.folders, RUBRIC, reviewers, name, self.uri, 0)

    def collect(self) -> Collected:
        found = self.works()
        grades = Grades(found, self.folders)
        return queues.collect(found, self.folders, grades, RUBRIC, self.uri)

    def answer(self, trace: str, grade: str, comment: str = "", who: str = "default") -> None:
        """Answer as MLflow's page does for a person without a login."""
        import mlflow
        from mlflow.entities import AssessmentSource

        mlflow.set_tracking_uri(self.uri)
        source = AssessmentSource("HUMAN", who)
        mlflow.log_feedback(
            trace_id=trace, name="grade", value=grade, source=source, rationale=comment or None
        )
        mlflow.log_feedback(trace_id=trace, name="reasons", value=["edge case"], source=source)

    def on_traces(self) -> list[tuple[str, str, str, Any]]:
        """Return experiment's run, problem, reviewer and grade of what is on the runs' traces."""
        found = []
        for folder in self.folders:
            run = queues.find_run(self.uri, folder, _id(folder))
            for (problem, _), said in sorted(run.said.items()):
                found += [(folder.name, problem, each.reviewer, each.grade) for each in said]
        return found


def _id(folder: Path) -> str:
    return str(json.loads((folder / runs.TRACKED).read_text())["run_id"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("made")
    Reviewed(base).make()
    return base


@pytest.fixture
def reviewed(made: Path, tmp_path: Path) -> Reviewed:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Reviewed(tmp_path)


def test_grades_come_home_once_for_each_run_and_onto_its_traces(reviewed: Reviewed) -> None:
    alice, bob = reviewed.start("r")
    assert len(alice.traces) == len(bob.traces) == 5
    shared = {trace: key for trace, key in alice.traces.items() if key[0] == "p0"}
    reviewed.answer(next(iter(shared)), "nearly correct", "off by one")
    reviewed.answer(next(t for t, key in bob.traces.items() if key[0] == "p0"), "correct")
    assert reviewed.collect() == Collected(new=2, written=4)
    for folder in reviewed.folders:
        first, second = sorted(lines(folder), key=lambda line: str(line["reviewer"]))
        assert (first["reviewer"], first["grade"]) == ("alice", "nearly correct")
        assert (first["comment"], first["reasons"]) == ("off by one", ["edge case"])
        assert first["origin"] == "queue r · alice"
        assert (second["reviewer"], second["grade"]) == ("bob", "correct")
    on_traces = [
        (folder, "p0", *said)
        for folder in ("a", "b")
        for said in (("alice", "nearly correct"), ("bob", "correct"))
    ]
    assert reviewed.on_traces() == on_traces
    assert reviewed.collect() == Collected(new=0, written=0)
    assert [len(lines(folder)) for folder in reviewed.folders] == [2, 2]

    reviewed.answer(next(iter(shared)), "wrong")  # she thought it over
    assert reviewed.collect() == Collected(new=1, written=2)
    assert ("b", "p0", "alice", "wrong") in reviewed.on_traces()
    assert len(reviewed.on_traces()) == 4


def test_nothing_in_a_queue_gives_the_model_away(reviewed: Reviewed) -> None:
    from mlflow import MlflowClient

    queue, *_ = reviewed.start("r")
    client = MlflowClient(tracking_uri=reviewed.uri)
    experiment = client.get_experiment(queue.experiment)
    assert experiment.name == "x · review r"
    traces = client.search_traces(locations=[queue.experiment])
    assert len(traces) == 10
    for trace in traces:
        told = json.dumps(trace.to_dict())
        secrets = [*SECRETS, *map(str, reviewed.folders), *map(_id, reviewed.folders)]
        assert not [secret for secret in secrets if secret in told]
        assert "def f(x)" in str(trace.info.request_preview)
        assert "tests passed" in str(trace.info.response_preview)
        assert "return x + " in str(trace.info.response_preview)
    assert any("expected 2" in str(trace.info.response_preview) for trace in traces)
    order = list(queue.traces.values())
    assert order != sorted(order)


def test_a_grade_on_a_runs_own_trace_counts_the_same(reviewed: Reviewed) -> None:
    run = queues.find_run(reviewed.uri, reviewed.folders[0], _id(reviewed.folders[0]))
    reviewed.answer(run.traces["p0", 0], "wrong", who="carol")
    reviewed.answer(run.traces["p1", 0], "rwong", who="carol")
    found = reviewed.collect()
    assert (found.new, found.unknown) == (1, ("rwong",))
    for folder in reviewed.folders:
        (line,) = lines(folder)
        assert (line["reviewer"], line["grade"], line["origin"]) == ("carol", "wrong", "trace")


def test_an_interrupted_collection_loses_nothing_and_counts_nothing_twice(
    reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, *_ = reviewed.start("r", ("alice",))
    for trace in queue.traces:
        reviewed.answer(trace, "correct")
    from experiments.review import grades

    calls: list[Path] = []
    append = grades.append_reviews

    def interrupted(folder: Path, given: Any) -> None:
        calls.append(folder)
        if len(calls) == 3:
            raise KeyboardInterrupt
        append(folder, given)

    with monkeypatch.context() as patched:
        patched.setattr(grades, "append_reviews", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reviewed.collect()
    reviewed.collect()
    for folder in reviewed.folders:
        assert sorted(str(line["problem_id"]) for line in lines(folder)) == ["p0", "p1", "p2"]
    assert len(reviewed.on_traces()) == 6


def test_a_queue_that_exists_is_named_and_another_reviewer_may_be_added(reviewed: Reviewed) -> None:
    reviewed.start("r", ("alice",))
    with pytest.raises(TrackingError, match="a review queue 'r · alice' already"):
        reviewed.start("r", ("alice",))
    reviewed.start("r", ("bob",))
    assert [queue.reviewer for queue in queues.known(reviewed.folders, reviewed.uri)] == [
        "alice",
        "bob",
    ]


def test_a_queue_that_was_not_filled_is_filled_by_the_next_call(
    reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("experiments.tracking.queues.fill", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reviewed.start("r", ("alice",))
    (queue,) = reviewed.start("r", ("alice",))
    assert len(queues.known(reviewed.folders, reviewed.uri)) == 1
    assert queues.progress(queue).pending == 5


def test_a_run_without_traces_or_outside_mlflow_is_told(reviewed: Reviewed, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "c", [10])
    reviewed.folders = [folder]
    with pytest.raises(TrackingError, match="is not in MLflow"):
        reviewed.start("r")
    reviewed.log(folder, traces=False)
    with pytest.raises(TrackingError, match=r"has no traces in MLflow.*Grade it in the terminal"):
        reviewed.start("r")
    found = reviewed.collect()
    assert ["has no traces" in reason for reason in found.without] == [True]


def test_a_folder_that_was_moved_away_from_its_mlflow_says_so_and_makes_no_database(
    reviewed: Reviewed, tmp_path: Path
) -> None:
    reviewed.start("r", ("alice",))
    moved = tmp_path / "db" / "moved.db"
    moved.with_name("mlflow.db").rename(moved)
    found = reviewed.collect()
    assert (found.new, found.written) == (0, 0)
    assert "'r · alice' cannot be read: There is no MLflow database" in found.without[0]
    assert len(found.without) == 3
    assert not moved.with_name("mlflow.db").exists()


class OldServer(BaseHTTPRequestHandler):
    """Answers as a tracking server that knows no review queues."""

    def do_GET(self) -> None:
        known = {"experiment": {"experiment_id": "1", "name": "x", "lifecycle_stage": "active"}}
        is_known = "experiments/get-by-name" in self.path
        self.send_response(200 if is_known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(known).encode() if is_known else b"Not Found")

    def log_message(self, *_: Any) -> None:
        pass


def test_a_server_that_is_too_old_is_told(tmp_path: Path) -> None:
    from experiments.tracking.queues import Questions, open_queue

    server = HTTPServer(("127.0.0.1", 0), OldServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        uri = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(TrackingError, match=r"has no review queues.*mlflow>=3\.14"):
            open_queue(uri, None, "x", "r", "alice", Questions(["right", "wrong"], "", []))
    finally:
        server.shutdown()
        server.server_close()


# --- the command


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = cli.main(["review", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_the_command_makes_queues_tells_progress_and_collects(
    reviewed: Reviewed, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [str(folder) for folder in reviewed.folders]
    uri = ["--uri", reviewed.uri]
    code, text = told([*named, "--reviewers", "alice", "--name", "r", *uri], capsys)
    assert code == 0
    (queue,) = queues.known(reviewed.folders, reviewed.uri)
    assert f"/#/experiments/{queue.experiment}/review-queue?selectedQueueId={queue.id}" in text
    assert told([*named, "--status", *uri], capsys) == (0, "r · alice: 0 of 5 done\n")
    reviewed.answer(next(iter(queue.traces)), "correct")
    code, text = told([*named, "--collect", *uri], capsys)
    assert code == 0
    assert "1 new grades" in text


def test_a_folder_that_was_sent_chooses_no_server(reviewed: Reviewed) -> None:
    reviewed.start("r", ("alice",))
    key = reviewed.folders[0] / "review-key.json"
    key.write_text(key.read_text().replace(reviewed.uri, "http://elsewhere.example"))
    with pytest.raises(StoreError, match=r"http://elsewhere\.example.*if it is yours: --uri"):
        queues.known(reviewed.folders, reviewed.uri)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reviewers", "alice,Alice"], "'alice' stands twice"),
        (["--reviewers", "alice,"], "a name is empty"),
        (["--rubric", "nope"], "There is no rubric 'nope'"),
        (["--status"], "These runs have no review queue. Make one: experiments review RUN"),
        (["--text", "--reviewers", "a,b"], "--text is for one reviewer"),
        (["--text"], "needs a terminal"),
        (["--uri", "sqlite:////nowhere/mlflow.db"], "There is no MLflow database"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "a", [10])
    code, text = told([str(folder), *arguments], capsys)
    assert code == 1
    assert said in text
    assert text.startswith("error: ")
    assert text.count("\n") == 1


def test_an_unknown_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told([str(tmp_path / "no")], capsys)[1].startswith("error: There is no folder")
    assert "No run in" in told([str(tmp_path)], capsys)[1]
