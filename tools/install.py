"""Install the pinned dependencies and this project into the virtual environment that runs it.

    .venv/bin/python tools/install.py run      what `python run.py` needs
    .venv/bin/python tools/install.py dev      the tests and checks as well

The same as `pip install --no-deps --require-hashes -r requirements/run.txt` and
`pip install --no-deps -e .`, with a sign of life while llama.cpp compiles. Standard library
only. Does nothing if what is wanted is installed already.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOG = Path(sys.prefix) / "install.log"
HEARTBEAT_SECONDS = 5.0


def main(group: str) -> None:
    """Install one group of requirements, unless its stamp says that it is installed."""
    requirements = ROOT / "requirements" / f"{group}.txt"
    if not requirements.exists():
        sys.exit(f"There is no group '{group}'. Known: run, dev.")
    stamp = Path(sys.prefix) / f".installed-{group}"
    wanted = _digest(requirements, ROOT / "pyproject.toml")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _check_machine()
    count = len(re.findall(r"^[\w.-]+==", requirements.read_text(), re.MULTILINE))
    print(f"Installing {count} packages into {sys.prefix} (log: {LOG}).")
    print("llama-cpp-python is compiled on this machine: that takes minutes, once.", flush=True)
    started = time.monotonic()
    LOG.unlink(missing_ok=True)
    _pip("--no-deps", "--require-hashes", "-r", str(requirements), count=count)
    _pip("--no-deps", "-e", str(ROOT), count=1)  # this project itself
    stamp.write_text(wanted)
    print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)


def _check_machine() -> None:
    """Say what is missing before minutes are spent."""
    if sys.version_info < (3, 11):
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
    if sys.prefix == sys.base_prefix:
        sys.exit("Run this with the Python of a virtual environment: python3 -m venv .venv")
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        sys.exit("A C++ compiler is needed: apt install g++, or xcode-select --install.")


def _pip(*arguments: str, count: int) -> None:
    """Run pip install, keep its whole output in the log, and show where it is."""
    command = [sys.executable, "-m", "pip", "install", "--verbose", "--no-input", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout is not None
    collected, phase = 0, ""
    started = shown_at = time.monotonic()
    with LOG.open("a", encoding="utf-8") as log:
        for line in process.stdout:
            log.write(line)
            collected += line.startswith(("Collecting ", "Processing "))
            phase = _phase(line) or phase
            if time.monotonic() - shown_at >= HEARTBEAT_SECONDS:
                shown_at = time.monotonic()
                shown = phase or f"fetching packages: {collected} of {count}"
                print(f"  {shown_at - started:4.0f} s  {shown}", flush=True)
    if process.wait() != 0:
        tail = LOG.read_text(encoding="utf-8").splitlines()[-15:]
        sys.exit("\n".join([*tail, f"Installation failed; the whole story is in {LOG}."]))


def _phase(line: str) -> str:
    """Return what pip began with this line, or nothing if it goes on with the last."""
    if compiled := re.search(r"\[(\d+)/(\d+)\] (?:Building|Linking|Generating)", line):
        return f"compiling llama.cpp: step {compiled[1]} of {compiled[2]}"
    if building := re.match(r"\s*Building wheel for ([\w.-]+)", line):
        return f"building {building[1]}"
    return "unpacking and installing" if line.startswith("Installing collected") else ""


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "run")
