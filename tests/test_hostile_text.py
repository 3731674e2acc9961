"""Control characters and halves of characters, wherever they come from, spoil nothing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from conftest import Workplace
from test_end_to_end import tracked_runs

from experiments.tracking.traces import fenced

HOSTILE = "\x1b]0;x\x07\ud800"
SHOWN = r"\x1b]0;x\x07\ud800"
PROBLEM = {
    "task_id": f"task {HOSTILE}",
    "prompt": f'def one():\n    """Return 1. {HOSTILE[:-1]}"""\n',
    "entry_point": "one",
    "canonical_solution": "    return 1\n",
    "test": "def check(candidate):\n    assert candidate() == 1\n",
}
RAISES = f"```python\ndef one():\n    raise ValueError({HOSTILE!r})\n```"
EXPERIMENT = f"""
# @package _global_
model:
  note: {json.dumps(f"note {HOSTILE}")}
  name: {json.dumps(f"label {HOSTILE}")}
backend:
  answers:
    {json.dumps(PROBLEM["task_id"])}: {json.dumps(RAISES)}
"""


class Refusing(BaseHTTPRequestHandler):
    """A server whose errors would steer a terminal."""

    def do_POST(self) -> None:
        body = json.dumps({"error": {"message": f"no {HOSTILE}"}}).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    refusing = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=refusing.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{refusing.server_port}/v1"
    refusing.shutdown()
    thread.join()
    refusing.server_close()


@pytest.fixture
def hostile(workplace: Workplace) -> Workplace:
    """A workplace whose one problem, its answer and a saved experiment are hostile."""
    folder = workplace.folder / "conf" / "experiment"
    folder.mkdir(parents=True)
    folder.joinpath("hostile.yaml").write_text(EXPERIMENT)
    workplace.folder.joinpath("hostile.jsonl").write_text(json.dumps(PROBLEM) + "\n")
    return workplace


def run(workplace: Workplace, *arguments: str):
    return workplace.run(
        f"--config-dir={workplace.folder / 'conf'}",
        "dataset=jsonl",
        f"dataset.file={workplace.folder / 'hostile.jsonl'}",
        *arguments,
    )


def assert_clean(*texts: str) -> None:
    for text in texts:
        text.encode()  # no half of a character
        assert "\x1b" not in text
        assert "\x07" not in text


def files(folder: Path) -> list[str]:
    """The texts of all files below a folder, which have to be UTF-8."""
    return [path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()]


def test_a_run_with_hostile_texts_ends_well(hostile: Workplace) -> None:
    done = run(hostile, "backend=scripted", "experiment=hostile", "-m")
    assert done.returncode == 0, done.stderr
    assert_clean(done.stdout, done.stderr)
    assert f"note {SHOWN}" in done.stdout
    assert f"label {SHOWN}" in done.stdout
    (folder,) = hostile.runs
    assert_clean(*files(folder))
    page = next(hostile.folder.glob("outputs/*/*/report.html")).read_text("utf-8")
    assert_clean(page)
    assert SHOWN in page
    (verdict,) = map(json.loads, folder.joinpath("verdicts.jsonl").read_text().splitlines())
    assert (verdict["plus"], verdict["problem_id"]) == ("raised", PROBLEM["task_id"])
    assert verdict["failure"]["actual"] == f"raises ValueError: {SHOWN}"
    job, sweep = sorted(tracked_runs(hostile.folder), key=lambda run: run.data.tags["kind"])
    assert (job.info.status, sweep.info.status) == ("FINISHED", "FINISHED")
    assert_clean(job.info.run_name, *job.data.params.values(), *job.data.tags.values())
    assert job.data.params["model.note"] == f"note {SHOWN}"


def test_an_error_of_a_server_is_told_and_kept_without_what_steers(
    hostile: Workplace, server: str
) -> None:
    address = f"model.api.base_url={server}"
    done = run(hostile, "backend=openai", "model=api", "model.api.model=mine", address)
    assert done.returncode == 1
    (folder,) = hostile.folder.glob("outputs/*/*")
    failure = folder.joinpath("failure.txt").read_text("utf-8")
    assert_clean(done.stdout, done.stderr, failure, folder.joinpath("run.log").read_text("utf-8"))
    assert "no " in failure
    assert "]0;x" in failure
    (tracked,) = tracked_runs(hostile.folder)
    assert tracked.info.status == "FAILED"


def test_reviewers_see_texts_without_what_steers() -> None:
    assert fenced(HOSTILE) == f"```\n{SHOWN}\n```"
