"""`python run.py` as a user starts it, and what it leaves on disk and in MLflow."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Workplace

from experiments.store.runs import FORMAT

RUN_FILES = {
    ".hydra",
    ".lock",
    "audit.json",
    "generations.jsonl",
    "manifest.json",
    "metrics.json",
    "problems.jsonl",
    "prompts.jsonl",
    "run.log",
    "run.yaml",
    "samples.jsonl",
    "tracking.json",
    "verdicts.jsonl",
}


def tracked_runs(folder: Path) -> list[Any]:
    """The runs in the MLflow database below a folder, newest first, when all have ended.

    What a run that failed had to log may still be written when it is gone.
    """
    from mlflow import MlflowClient

    database = folder / "mlruns" / "mlflow.db"
    deadline = time.monotonic() + 60
    while not database.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    while True:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = list(client.search_runs(experiments))
        ended = runs and all(run.info.status != "RUNNING" for run in runs)
        if ended or time.monotonic() > deadline:
            return runs
        time.sleep(0.2)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_default_run_leaves_a_whole_result(workplace: Workplace) -> None:
    done = workplace.run("limit=4")
    assert done.returncode == 0, done.stderr
    (folder,) = workplace.runs
    assert {path.name for path in folder.iterdir()} == RUN_FILES
    assert "mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db" in done.stdout
    assert str(folder.relative_to(workplace.folder)) in done.stdout

    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["labels"] == {
        "model": "demo",
        "quantization": "q8_0",
        "prompt": "plain",
        "dataset": "problems",
        "limit": "4",
    }
    assert len(manifest["weights"]["sha256"]) == 64
    assert len(manifest["dataset"]["sha256"]) == 64
    assert manifest["versions"]["llama-cpp-python"][0].isdigit()
    for name in ("generations", "verdicts", "samples"):
        assert len(lines(folder / f"{name}.jsonl")) == 4

    (run,) = tracked_runs(workplace.folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics.pop("format") == FORMAT
    of_the_way = ("progress/", "system/")
    tracked = {k: v for k, v in run.data.metrics.items() if not k.startswith(of_the_way)}
    assert tracked == pytest.approx(metrics)
    assert run.data.params["sampling.max_tokens"] == "1024"
    assert run.info.run_name == "demo · q8_0 · plain · problems"
    assert run.info.status == "FINISHED"
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert {path.name for path in artifacts.iterdir()} >= RUN_FILES - {".lock"}
    assert ".lock" not in {path.name for path in artifacts.iterdir()}
    assert run.inputs.dataset_inputs[0].dataset.name == "problems"


def test_each_generation_is_a_trace_with_its_verdict(workplace: Workplace) -> None:
    from mlflow import MlflowClient

    done = workplace.run("backend=scripted", "backend.mode=mixed", "limit=2")
    assert done.returncode == 0, done.stderr
    (run,) = tracked_runs(workplace.folder)
    client = MlflowClient(tracking_uri=f"sqlite:///{workplace.folder}/mlruns/mlflow.db")
    traces = client.search_traces(locations=[run.info.experiment_id], run_id=run.info.run_id)
    values = {
        trace.info.tags["problem"]: {a.name: a.feedback.value for a in trace.info.assessments}
        for trace in traces
    }
    (folder,) = workplace.runs
    verdicts = lines(folder / "verdicts.jsonl")
    assert {v["plus"] == "passed" for v in verdicts} == {True, False}
    assert {name: assessed["passed"] for name, assessed in values.items()} == {
        verdict["problem_id"]: verdict["plus"] == "passed" for verdict in verdicts
    }
    assert all(assessed["format_kept"] for assessed in values.values())


@pytest.mark.slow
def test_a_sweep_is_one_parent_with_its_jobs(workplace: Workplace) -> None:
    done = workplace.run("-m", "prompt=plain,cot", "quantization=q8_0,q2_k", "limit=20")
    assert done.returncode == 0, done.stderr
    assert len(workplace.runs) == 4
    scores = {
        json.loads((folder / "metrics.json").read_text())["pass_at_1/plus"]
        for folder in workplace.runs
    }
    assert len(scores) > 1, "settings that differ should show in the scores"
    runs = tracked_runs(workplace.folder)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.run_name for run in children} == {
        f"demo · {level} · {prompt} · problems"
        for level in ("q8_0", "q2_k")
        for prompt in ("plain", "cot")
    }
    assert parent.info.status == "FINISHED"


@pytest.mark.slow
def test_models_without_weights_fail_one_by_one(workplace: Workplace) -> None:
    done = workplace.run("-m", "model=mistral,dolphin", "prompt=plain,cot")
    assert done.returncode == 1
    assert "4 jobs failed" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    reasons = [p.read_text() for p in sorted(workplace.folder.glob("outputs/*/*/*/failure.txt"))]
    assert len(reasons) == 4
    for reason in reasons:
        assert len(reason.strip().splitlines()) == 1
        assert ".gguf" in reason
        assert "models/" in reason
        assert "TheBloke/" in reason


@pytest.mark.slow
def test_a_failed_job_does_not_stop_the_sweep(workplace: Workplace) -> None:
    done = workplace.run("-m", "backend=scripted", "backend.fails_after=0,null", "limit=2")
    assert done.returncode == 1
    assert "1 job failed" in done.stderr
    assert len(workplace.runs) == 1
    statuses = sorted(run.info.status for run in tracked_runs(workplace.folder))
    assert statuses == ["FAILED", "FAILED", "FINISHED"]  # the parent, and one job


def test_a_complete_run_of_a_model_is_told_as_such_and_leaves_no_other_folder(
    workplace: Workplace,
) -> None:
    first = workplace.run("limit=2", "tracking.enabled=false")
    assert first.returncode == 0, first.stderr
    folders = list(workplace.folder.glob("outputs/20*/*"))
    second = workplace.run("limit=2", "tracking.enabled=false")
    assert second.returncode == 0, second.stderr
    assert "Complete already, and not made again" in second.stderr
    assert list(workplace.folder.glob("outputs/20*/*")) == folders == workplace.runs


def test_the_second_of_two_equal_runs_generates_nothing(workplace: Workplace) -> None:
    first = workplace.run("limit=3", "tracking.enabled=false")
    assert first.returncode == 0, first.stderr
    second = workplace.run("limit=3", "tracking.enabled=false", "rerun=all")
    assert second.returncode == 0, second.stderr
    one, two = (lines(folder / "generations.jsonl") for folder in workplace.runs)
    assert [line["cached"] for line in one] == [False] * 3
    assert [line["cached"] for line in two] == [True] * 3
    assert [line["text"] for line in one] == [line["text"] for line in two]


def test_references_pass_and_nothing_else_does(workplace: Workplace) -> None:
    for mode, share in (("reference", 1.0), ("wrong", 0.0), ("prose", 0.0)):
        done = workplace.run("backend=scripted", f"backend.mode={mode}", "tracking.enabled=false")
        assert done.returncode == 0, done.stderr
        metrics = json.loads((workplace.runs[-1] / "metrics.json").read_text())
        assert metrics["pass_at_1/plus"] == share, mode


def test_humaneval_plus_runs_on_the_real_data(
    workplace: Workplace, evalplus_data: dict[str, str]
) -> None:
    done = workplace.run("dataset=humaneval_plus", "limit=10", "backend=scripted", **evalplus_data)
    assert done.returncode == 0, done.stderr
    (folder,) = workplace.runs
    assert json.loads((folder / "metrics.json").read_text())["pass_at_1/plus"] == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<html>Not found</html>" * 40, "no GGUF"),
        ("truncated", "is incomplete"),
    ],
)
def test_a_damaged_gguf_is_told_in_one_line(
    workplace: Workplace, content: bytes | str, said: str
) -> None:
    file = workplace.folder / "model.gguf"
    demo = (ROOT / "models/demo/demo-f16.gguf").read_bytes()
    file.write_bytes(demo[: len(demo) // 2] if isinstance(content, str) else content)
    done = workplace.run("model=local", f"model.file={file}", "limit=1")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert str(file) in errors[0]
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_told(workplace: Workplace) -> None:
    workplace.folder.joinpath("store").write_text("a file where a folder should be")
    done = workplace.run("store=store/here", "backend=scripted", "limit=1")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "store/here" in done.stderr
    assert "Traceback" not in done.stderr


def test_prompts_that_do_not_fit_the_context_are_told(workplace: Workplace) -> None:
    few = ("limit=8", "sampling.max_tokens=8", "tracking.enabled=false")
    some = workplace.run(*few, "backend.context_tokens=350")
    assert some.returncode == 0, some.stderr
    assert "prompts do not fit, and their problems count as failed" in some.stderr
    none = workplace.run(*few, "backend.context_tokens=64")
    assert none.returncode == 1
    assert "error: None of the 8 prompts fits" in none.stderr
    assert "Set backend.context_tokens higher" in none.stderr
    assert "Traceback" not in none.stderr


@pytest.mark.soak
def test_a_tracking_server_that_is_not_there_is_told_and_nothing_is_lost(
    workplace: Workplace,
) -> None:
    done = workplace.run("tracking.uri=http://127.0.0.1:9", "backend=scripted", "limit=1")
    assert done.returncode == 0
    assert done.stderr.count("warning: MLflow at 'http://127.0.0.1:9' cannot be used") == 1
    assert "To bring it there: .venv/bin/experiments sync outputs/" in done.stdout
    assert "Traceback" not in done.stderr
    assert "pass@1" in done.stdout
    assert list(workplace.folder.glob("outputs/*/*/metrics.json"))
    assert not list(workplace.folder.glob("outputs/*/*/failure.txt"))
    swept = workplace.run("-m", "tracking.uri=http://127.0.0.1:9", "backend=scripted", "limit=1")
    assert swept.returncode == 0
    assert swept.stderr.count("warning: MLflow at") == 1
    assert "Callback" not in swept.stderr
    assert "Compare runs: http://127.0.0.1:9\n" in swept.stdout


def test_a_run_that_fails_at_once_is_in_mlflow(workplace: Workplace) -> None:
    done = workplace.run("backend.parallel=4000000", "limit=1")
    assert done.returncode == 1
    assert "Not enough memory" in done.stderr
    (run,) = tracked_runs(workplace.folder)
    assert run.info.status == "FAILED"


def test_ctrl_c_ends_a_run_whose_tracking_server_is_silent(workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        running = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), f"tracking.uri=http://127.0.0.1:{port}"],
            cwd=workplace.folder,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        silent.settimeout(60)
        connection, _ = silent.accept()  # which gets no answer
        with connection:
            began = time.monotonic()
            running.send_signal(signal.SIGINT)
            _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"Interrupted" in told
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_processes_that_open_a_fresh_database_together_all_get_it(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "from experiments.tracking.opening import open_experiment; "
        "print(open_experiment('sqlite:///mlruns/mlflow.db', 'mlruns/artifacts', 'x'))"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": ""}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert len(set(said)) == 1
