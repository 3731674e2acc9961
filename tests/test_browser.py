"""What a person sees in a browser: a sweep in MLflow, and our page on a desk and on a phone."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from browser import PATIENCE_SECONDS, Browser, chromium
from conftest import Workplace
from test_report import EVIL, make_run

from experiments import cli, report

PROGRAM = chromium()

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")

PHONE, DESK = (390, 844, True), (1280, 900, False)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    with Browser(PROGRAM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@dataclass(frozen=True)
class Served:
    """A sweep of the demo model, and MLflow's pages about it."""

    address: str
    experiment: str
    sweep: str
    jobs: tuple[str, ...]
    trace: str
    folders: tuple[Path, ...]

    @property
    def runs(self) -> str:
        return f"{self.address}/#/experiments/{self.experiment}/runs"

    @property
    def view(self) -> str:
        return f"{self.runs}?viewStateShareKey={self.sweep}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two levels times two prompts on three problems, and `mlflow ui` on this machine."""
    from mlflow import MlflowClient

    workplace = Workplace(tmp_path_factory.mktemp("sweep"))
    done = workplace.run(
        "-m", "quantization=q8_0,q2_k", "prompt=plain,cot", "limit=3", "backend.threads=1"
    )
    assert done.returncode == 0, done.stderr
    database = f"sqlite:///{workplace.folder}/mlruns/mlflow.db"
    client = MlflowClient(tracking_uri=database)
    experiment = client.get_experiment_by_name("python-code-generation").experiment_id
    runs = client.search_runs([experiment])
    (sweep,) = [run.info.run_id for run in runs if run.data.tags["kind"] == "sweep"]
    jobs = tuple(run.info.run_id for run in runs if run.info.run_id != sweep)
    trace = client.search_traces(locations=[experiment], max_results=1)[0].info.trace_id
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", database]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        cwd=workplace.folder,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, server)
        yield Served(address, experiment, sweep, jobs, trace, tuple(workplace.runs))
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 2 * PATIENCE_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, "mlflow ui ended at once"
        try:
            with urlopen(f"{address}/health"):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("mlflow ui does not answer")


@pytest.mark.soak
def test_the_runs_table_has_a_sweep_with_its_jobs_and_their_scores(
    browser: Browser, served: Served
) -> None:
    browser.resize(1600, 900)
    browser.open("about:blank")
    browser.open(served.runs)
    browser.wait_for_text("sweep · quantization=q8_0,q2_k prompt=plain,cot")
    assert "demo · q8_0" not in browser.text()
    browser.click(".ag-row button")  # unfolds the sweep
    for level in ("q8_0", "q2_k"):
        for prompt in ("plain", "cot"):
            browser.wait_for_text(f"demo · {level} · {prompt} · problems")
    browser.open("about:blank")
    browser.open(served.view)
    browser.wait_for_text("pass_at_1/plus", "cost/seconds_per_problem", "4 matching runs")
    assert "sweep ·" not in browser.text()


@pytest.mark.soak
def test_the_compare_view_sets_the_jobs_side_by_side(browser: Browser, served: Served) -> None:
    browser.resize(*DESK)
    chosen = f"runs={quote(json.dumps(served.jobs))}"
    among = f"experiments={quote(json.dumps([served.experiment]))}"
    browser.open("about:blank")
    browser.open(f"{served.address}/#/compare-runs?{chosen}&{among}")
    browser.wait_for_text("Comparing 4 Runs", "demo · q2_k · cot · problems")
    browser.wait_for_text("prompt.name\tcot\tplain", "quantization.name\tq2_k\tq2_k\tq8_0")
    browser.wait("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")


@pytest.mark.soak
def test_the_chart_view_draws_the_scores(browser: Browser, served: Served) -> None:
    browser.resize(1600, 1000)
    browser.open("about:blank")
    browser.open(f"{served.view}&compareRunsMode=CHART")
    browser.wait_for_text("demo · q8_0 · plain · problems", "cost/seconds_per_problem")
    browser.wait("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")


@pytest.mark.soak
def test_a_trace_shows_the_program_and_what_code_says_of_it(
    browser: Browser, served: Served
) -> None:
    browser.resize(1600, 1000)
    traces = f"{served.address}/#/experiments/{served.experiment}/traces"
    browser.open("about:blank")
    browser.open(f"{traces}?selectedEvaluationId={served.trace}")
    browser.wait_for_text("Inputs / Outputs", "program", "verdict", "tests passed")
    browser.wait_for_text("format_kept", "passed")


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:.*Any type hint", "ignore::FutureWarning:mlflow.*")
def test_a_queue_is_graded_blind_and_its_grade_comes_home(
    browser: Browser, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [*map(str, served.folders), "--uri", served.address]
    new = ["--budget", "3", "--reviewers", "alice", "--name", "look"]
    assert cli.main(["review", *named, *new]) == 0
    (address,) = re.findall(r"alice: (http\S+)", capsys.readouterr().out)
    browser.resize(1600, 1000)
    browser.open("about:blank")
    browser.open(address)
    browser.wait_for_text("Start review", "look · alice")
    shown = browser.text()
    button = "[...document.querySelectorAll('button')].find(e => e.textContent == 'Start review')"
    browser.run(f"{button}.click()")
    browser.wait_for_text("0 of 3 reviewed", "statement", "tests", "program")
    shown += browser.text()
    browser.click("[role=combobox][aria-label^=grade]")
    option = "[...document.querySelectorAll('[role=option]')].find(e => e.innerText == 'wrong')"
    browser.wait(f"!!{option}")
    browser.run(f"{option}.click()")
    submit = "[data-component-id$='focused-review.complete']"
    browser.wait(f"!document.querySelector({json.dumps(submit)}).disabled")
    browser.click(submit)
    browser.wait_for_text("1 of 3 reviewed")
    secrets = ("q8_0", "q2_k", "demo", *served.jobs)
    assert not [secret for secret in secrets if secret in shown + browser.text()]
    assert cli.main(["review", *named, "--status"]) == 0
    assert cli.main(["review", *named, "--collect"]) == 0
    told = capsys.readouterr().out
    assert "look · alice: 1 of 3 done" in told
    assert "1 new grades" in told
    kept = [folder for folder in served.folders if (folder / "reviews.jsonl").exists()]
    assert kept
    assert '"grade": "wrong"' in (kept[0] / "reviews.jsonl").read_text()


@pytest.mark.soak
def test_the_report_is_an_artifact_that_mlflow_shows(browser: Browser, served: Served) -> None:
    browser.resize(*DESK)
    browser.open("about:blank")
    browser.open(f"{served.runs}/{served.sweep}/artifacts/report.html")
    browser.wait_for_text("report.html", "report.md", "figures")
    browser.wait("document.querySelector('iframe') !== null")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page about two runs, one of which wrote a program that would like to take it over."""
    folder = tmp_path_factory.mktemp("page")
    good = "def f(x):\n    return x\n"
    runs = [
        make_run(folder / "a", [True, True, False], {"prompt": "plain"}, good, 8.5, 1.0),
        make_run(folder / "b", [True, False, False], {"prompt": EVIL}, EVIL, 3.3, 0.5),
    ]
    return report.write(report.collect(runs), folder).page.as_uri()


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_a_click_on_the_map_opens_the_programs_side_by_side(
    browser: Browser, page: str, screen: tuple[int, int, bool]
) -> None:
    browser.resize(*screen)
    browser.open(page)
    browser.click(".map tbody tr:nth-child(2) td:nth-child(3)")
    browser.wait("document.querySelectorAll('dialog[open] .card').length === 2")
    shown = browser.run("document.querySelector('dialog').innerText")
    assert "return x" in shown
    assert "expected" in shown
    assert EVIL in shown
    tops = browser.run("[...document.querySelectorAll('.card')].map((c) => c.offsetTop)")
    assert (tops[0] == tops[1]) == (screen is DESK), "beside each other where there is room"
    browser.press("Escape")
    browser.wait("!document.querySelector('dialog').open")


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_what_a_model_wrote_does_nothing_and_nothing_is_asked_of_a_network(
    browser: Browser, page: str, screen: tuple[int, int, bool]
) -> None:
    browser.resize(*screen)
    browser.open(page)
    title = browser.run("document.title")
    for row in range(1, 4):
        browser.click(f".map tbody tr:nth-child({row}) button")
        browser.wait("document.querySelectorAll('dialog[open] .card').length > 0")
        browser.click("dialog header button")
        browser.wait("!document.querySelector('dialog').open")
    assert title == "2 runs on d"
    assert browser.run("document.title") == title
    assert browser.run("document.images.length") == 0
    assert browser.dialogs == []
    assert browser.errors == []
    assert browser.requests == [page]


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_never_scrolls_sideways(browser: Browser, page: str, width: int) -> None:
    browser.resize(width, 844, phone=width < 700)
    browser.open(page)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.documentElement.scrollHeight") > 844
    browser.click(".map tbody button")
    browser.wait("document.querySelectorAll('dialog[open] .card').length > 0")
    inside = "(({scrollWidth, clientWidth}) => scrollWidth - clientWidth)"
    assert browser.run(f"{inside}(document.querySelector('dialog'))") <= 0


def test_the_page_prints_as_it_is_read(browser: Browser, page: str, tmp_path: Path) -> None:
    browser.resize(*DESK)
    browser.open(page)
    browser.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
