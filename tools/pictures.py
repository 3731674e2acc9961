"""Make the pictures in docs/pictures: a sweep of the demo model, its page, its table in MLflow.

    python tools/pictures.py                 a sweep of six runs, two minutes
    python tools/pictures.py --limit 6       fewer problems, to see whether it works
    python tools/pictures.py --out FOLDER

Needs Chromium (`apt install chromium`), and what the tests need. Nothing but this machine is asked.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import Browser, chromium  # noqa: E402

SWEEP = ("-m", "prompt=plain,cot", "quantization=q8_0,q4_0,q2_k")
MOST_KILOBYTES = 150
OF_REPORT, OF_MLFLOW = (1200, 640), (1500, 520)
BESIDE_THE_TABLE = ("Hide banner", "Close", "Toggle sidebar")
"""Buttons of MLflow's page that put away what is not the table: a hint, its assistant, its menu."""


def main() -> None:
    """Run the sweep and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, help="problems of each run; default: all 60")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--folder", type=Path, help="of the sweep, kept; default: one that is not")
    chosen = parser.parse_args()
    program = chromium()
    if program is None:
        sys.exit("Chromium is not here: apt install chromium")
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        swept, view = sweep(folder, chosen.limit)
        with Browser(program, Path(name, "profile")) as browser, mlflow(folder) as address:
            browser.resize(*OF_REPORT)
            browser.open((swept / "report.html").as_uri())
            take(browser, chosen.out / "report.webp")
            browser.resize(*OF_MLFLOW)
            browser.open(f"{address}{view}")
            browser.wait_for_text("pass_at_1/plus", "6 matching runs")
            show_table_alone(browser)
            take(browser, chosen.out / "mlflow.webp")


def sweep(folder: Path, limit: int | None) -> tuple[Path, str]:
    """Run the sweep in a folder; return its own folder, and the path of its view in MLflow."""
    places = [f"models={ROOT / 'models'}", f"dataset.folder={ROOT / 'problems'}"]
    some = [] if limit is None else [f"limit={limit}"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *SWEEP, *places, *some],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    print(done.stdout)
    said = done.stdout.replace("\n", " ").split()
    results = said[said.index("Results:") + 1]
    address = next(word for word in reversed(said) if "/#/experiments/" in word)
    return folder / results, address[address.index("/#/") :]


@contextmanager
def mlflow(folder: Path) -> Iterator[str]:
    """Serve a folder's MLflow, and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--backend-store-uri", "sqlite:///mlruns/mlflow.db"],
        cwd=folder,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                with urlopen(f"{address}/health"):
                    break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def show_table_alone(browser: Browser) -> None:
    """Put away what MLflow shows beside the table, as far as this version has it."""
    for label in BESIDE_THE_TABLE:
        browser.run(f"document.querySelector('button[aria-label=\"{label}\"]')?.click()")
        time.sleep(1)


def take(browser: Browser, file: Path) -> None:
    """Write what the window shows, and end if it is too large for a README."""
    browser.picture(file)
    kilobytes = file.stat().st_size / 1000
    print(f"{file}: {kilobytes:.0f} kB")
    if kilobytes > MOST_KILOBYTES:
        sys.exit(f"{file} has more than {MOST_KILOBYTES} kB")


if __name__ == "__main__":
    main()
