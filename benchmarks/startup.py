"""How long until something happens, beside what the libraries alone take for the same.

    python benchmarks/startup.py                the median of seven
    python benchmarks/startup.py --repeats 3

Each row is a command of ours and its limit, by turns:

- help and a mistake: beside a Hydra program of three lines with one group of choices.
- the console's help: beside Python's argparse with one command.
- a first answer: one problem from nothing to a verdict, without MLflow, beside llama-cpp-python
  that is imported, loads the same file and answers once. The difference holds Hydra, reading the
  problems, a process for the model and one for the sandbox.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLAIN_HYDRA = """
import hydra
@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config): print(config)
main()
"""
PLAIN_ARGPARSE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_subparsers().add_parser("doctor")
parser.parse_args()
"""
PLAIN_LLAMA = """
import sys
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=4096, verbose=False)
model.create_completion("def f(x):", max_tokens=64, temperature=0.0)
"""
CONSOLE = "import sys; from experiments.cli import main; sys.exit(main())"
DEMO = ROOT / "models" / "demo" / "demo-f16.gguf"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conf" / "model").mkdir(parents=True)
        (folder / "conf" / "config.yaml").write_text("defaults:\n  - model: one\n")
        (folder / "conf" / "model" / "one.yaml").write_text("name: one\n")
        for program, text in {
            "plain_hydra.py": PLAIN_HYDRA,
            "plain_argparse.py": PLAIN_ARGPARSE,
            "plain_llama.py": PLAIN_LLAMA,
        }.items():
            (folder / program).write_text(text)
        run = str(ROOT / "run.py")
        places = [f"models={ROOT / 'models'}", f"dataset.folder={ROOT / 'problems'}"]
        once = ["limit=1", "quantization=f16", "tracking.enabled=false", "cache=off"]
        rows = {
            "python run.py --help": ([run, "--help"], ["plain_hydra.py", "--help"]),
            "a misspelled choice": ([run, "model=nope"], ["plain_hydra.py", "model=nope"]),
            "experiments --help": (["-c", CONSOLE, "--help"], ["plain_argparse.py", "-h"]),
            "a first answer": ([run, *places, *once], ["plain_llama.py", str(DEMO)]),
        }
        print(f"{'command':22}{'ours':>9}{'limit':>9}{'more':>9}")
        for title, (ours, limit) in rows.items():
            taken = [(seconds(ours, folder), seconds(limit, folder)) for _ in range(repeats + 1)]
            mine, least = (statistics.median(each) for each in zip(*taken[1:], strict=True))
            print(f"{title:22}{mine:7.2f} s{least:7.2f} s{mine - least:7.2f} s", flush=True)


def seconds(arguments: list[str], folder: Path) -> float:
    """Return how long a command of Python takes, whether or not it ends well."""
    as_people_have_it = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=as_people_have_it, capture_output=True
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
