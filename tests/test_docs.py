"""What README and docs say holds: commands run, files work, links lead somewhere, messages exist.

A command that no way below covers fails: it is to be run, or named in `NOT_RUN` with the reason.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import documents
import pytest
from conftest import ROOT, Workplace
from documents import PAGES, Command, File

from experiments import cli
from experiments.cli.commands import COMMANDS
from experiments.environment import machine

DEMO = ROOT / "models" / "demo" / "demo-f16.gguf"

STAND_INS = {
    "/path/to/any.gguf": str(DEMO),
    "/path/to/the.gguf": "models/demo/demo-q8_0.gguf",
    "reproduce outputs/2026-01-31/12-00-00": "reproduce outputs/2026-01-31/12-00-00/0 --sample 1",
    "reproduce out.zip --sample 20": "reproduce out.zip --sample 1",
    "dataset=humaneval_plus": "dataset=problems",
    "judge humaneval_plus": "judge problems",
    "validate humaneval_plus --sample 20": "validate problems --sample 1",
    "validate problems": "validate problems --only easy/tag_list --no-mutation",
    "--only easy/tag_list --no-mutation --only easy/your_problem": "--only easy/tag_list",
    "--dataset humaneval_plus": "--dataset problems",
    "fidelity model=demo": "fidelity model=demo limit=1",
    "judge mine.jsonl samples.jsonl": "judge mine.jsonl mine-samples.jsonl",
    "plan --measure": "plan",
}
"""What is typed in a test instead: files that are here, data sets without a network, less of it."""

IN_A_COPY = (
    "docs/adding.md",
    *(f"CONTRIBUTING.md: {each}" for each in ("cp", "sed", "python run.py prompt=short")),
)
"""Pages, or lines of them, whose steps are done in order, in a copy of the project."""

NOT_RUN = {
    r"(sudo )?apt(-get)? ": "changes the machine",
    r"wsl ": "is Windows",
    r"podman build ": "no engine here; test_the_image_has_what_a_run_needs looks at its steps",
    r"python3 -m venv \.venv$": "the tests run in what it makes",
    r"source \.venv/bin/activate$": "the tests run in what it activates",
    r"\.venv/bin/pytest$|make .*": "this is it, or it would install; its target is looked at",
    r"mlflow ui ": "serves until it is ended; test_browser opens its pages",
    r"experiments review .*--text": "asks a person; test_review_terminal answers",
    r"experiments review ": "opens queues; test_review_queues goes through them",
    r"experiments import ": "test_archive and test_report_evalplus do it",
    r"experiments store --prune --model": "asks before it removes; test_store_pruning answers",
    r"experiments sync .*--uri": "needs a server; test_tracking_away has one",
    r"python run\.py .*(hydra/launcher=|\+cluster=)": "needs a launcher; test_launchers has them",
    r"python run\.py tracking=server": "needs a server; test_clusters has one",
    r"EXPERIMENTS_TRUSTED=my_package ": "test_trust does it with a package of its own",
    r"export ": "is of the reader's shell",
    r"\.venv/bin/python -m training\.card": "writes the demo model's card",
}
"""Patterns of commands that are read but not run, and why."""


def all_commands() -> list[Command]:
    found = [
        step
        for page in PAGES
        for step in documents.steps(documents.read(page), str(page))
        if isinstance(step, Command)
    ]
    for name, text in helps().items():
        found += documents.commands(text.split("\n"), f"experiments {name} --help")
    return list(dict.fromkeys(found))


def helps() -> dict[str, str]:
    """Return the examples in the help of each subcommand."""
    found: dict[str, str] = {}

    class Recorder:
        def add_parser(self, name: str, **given: str) -> object:
            found[name] = given.get("epilog", "")
            return cli.common.argparse.ArgumentParser()

    for command in COMMANDS:
        command.add(Recorder())
    return found


def is_run_py(command: Command) -> bool:
    return bool(re.match(r"(\.venv/bin/)?python run\.py", command.text))


def is_left_out(command: Command) -> bool:
    return any(re.match(pattern, command.text) for pattern in NOT_RUN)


ALL = all_commands()
IN_ORDER = [each for each in ALL if str(each).startswith(IN_A_COPY)]
REST = list({each.text: each for each in ALL if each not in IN_ORDER}.values())
RUNS = [each for each in REST if is_run_py(each) and not is_left_out(each)]
OTHERS = [each for each in REST if each not in RUNS]


def typed(command: Command) -> list[str]:
    """Return the words of a command, with what stands in for things that are not here."""
    text = command.text
    for shown, instead in STAND_INS.items():
        text = text.replace(shown, instead)
    return shlex.split(text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep of the demo model, and the files that pages speak of."""
    workplace = Workplace(tmp_path_factory.mktemp("docs"))
    done = workplace.run("-m", "prompt=plain,cot", "limit=2")
    assert done.returncode == 0, done.stderr
    folder = workplace.folder
    (sweep,) = {run.parent for run in workplace.runs}
    for day in ("2026-01-31", "2026-02-01"):
        shutil.copytree(sweep, folder / "outputs" / day / "12-00-00")
    shutil.copy(sweep / "0" / "run.yaml", folder)
    assert cli.main(["export", str(sweep / "0"), str(folder / "out.zip")]) == 0
    samples = sweep / "0" / "samples.jsonl"
    for named in (folder, folder / "outputs" / "2026-01-31" / "12-00-00"):
        shutil.copy(samples, named)
    (folder / "my_problems" / "easy").mkdir(parents=True)
    shutil.copy(ROOT / "problems" / "easy" / "tag_list.py", folder / "my_problems" / "easy")
    shutil.copytree(ROOT / "conf", folder / "conf")
    adding = documents.steps(documents.read("docs/adding.md"))
    (mine,) = [each for each in adding if isinstance(each, File) and each.path == "mine.jsonl"]
    (folder / "mine.jsonl").write_text(mine.content, encoding="utf-8")
    sample = {"task_id": "mine/0", "completion": "    return a + b\n"}
    (folder / "mine-samples.jsonl").write_text(json.dumps(sample) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "a-key-of-a-test")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("memory_total", "memory_available"):  # a plan refuses what this machine lacks
        monkeypatch.setattr(machine, name, lambda: 64 << 30)
    return place


@pytest.mark.parametrize("command", RUNS, ids=str)
def test_a_run_that_is_shown_can_be_planned(command: Command, here: Path) -> None:
    words = typed(command)[2:]
    if {"--help", "--cfg", "-sc"} & set(words):
        return  # no run; done for real below
    assert cli.main(["plan", *words]) == 0


@pytest.mark.soak
@pytest.mark.parametrize("command", RUNS, ids=str)
def test_a_run_that_is_shown_runs(command: Command, here: Path) -> None:
    words = typed(command)[2:]
    text = " ".join(words)
    if (
        re.search(r"(^| )(model=(?!demo|local)|experiment=(?!ladder))", text)
        and "--cfg" not in text
    ):
        pytest.skip("weights of a real model, or a server: it is planned above")
    some = [] if "limit=" in text or "--" in text or "-sc" in text else ["limit=2"]
    done = run_py(here, *words, *some)
    assert done.returncode == 0, done.stderr


def run_py(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.parametrize("command", OTHERS, ids=str)
def test_another_command_that_is_shown_works(command: Command, here: Path) -> None:
    if not is_left_out(command):
        ways = [way for pattern, way in WAYS.items() if re.match(pattern, command.text)]
        assert ways, "no test runs it, and it is not in NOT_RUN"
        ways[0](command)
    elif command.text.startswith("experiments "):
        cli.parser().parse_args(typed(command)[1:])
    elif target := re.match(r"make (\S+)", command.text):
        assert target[1] in make_targets()


def console(command: Command) -> None:
    words = typed(command)[1:]
    if words[0] == "fetch" or words[:2] == ["models", "fetch"]:
        assert cli.main(words) == 1  # the hub may not be asked
    elif words[0] == "validate" and "--summary" not in words:
        assert cli.main([*words, "--no-mutation"]) == 0
    elif words[0] == "fidelity" and "model=demo" not in words:
        assert cli.main(["plan", *[each for each in words[1:] if "reference=" not in each]]) == 0
    else:
        assert cli.main(words) == 0


def script(command: Command) -> None:
    """Look whether a script is there and knows the options."""
    words = shlex.split(command.text)[1:]
    known = help_of(words[0])
    for option in (word for word in words if word.startswith("--")):
        assert option in known, f"{words[0]} knows no {option}"


@cache
def help_of(name: str) -> str:
    path = ROOT / name
    text = (path / "__main__.py" if path.is_dir() else path).read_text(encoding="utf-8")
    if "argparse" not in text:
        return text  # it takes no help, and would begin
    done = subprocess.run(
        [sys.executable, str(path), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def pip_install(command: Command) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for flag, name in pairwise(shlex.split(command.text)):
        path, _, extra = name.removesuffix("]").partition("[")
        if flag in ("-r", "-e"):
            assert (ROOT / path).exists()
            assert not extra or f"\n{extra} = [" in project


def in_a_container(command: Command) -> None:
    """Take what is run in the container for a command of its own."""
    words = shlex.split(command.text)
    for flag, volume in pairwise(words):
        if flag == "-v":
            assert Path(volume.split(":")[0]).is_dir()
    image = words.index("experiments")
    inner = Command(command.page, shlex.join(words[image + 1 :]))
    if is_run_py(inner):
        assert cli.main(["plan", *typed(inner)[2:]]) == 0
    elif not is_left_out(inner):
        console(inner)


def of_pytest(command: Command) -> None:
    for word in shlex.split(command.text)[1:]:
        assert not word.endswith(".py") or (ROOT / word).exists()


def completion(command: Command) -> None:
    assert "argcomplete" in command.text or "run.py -sc install=bash" in command.text


WAYS: dict[str, Callable[[Command], None]] = {
    r"experiments ": console,
    r"python (benchmarks|tools)\b": script,
    r"\.venv/bin/pip install": pip_install,
    r"podman run ": in_a_container,
    r"pytest ": of_pytest,
    r"eval ": completion,
}
"""How commands other than `python run.py` are run, or looked at as far as they can be."""


@cache
def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return {name for line in re.findall(r"^([a-z][a-z -]*):", text, re.M) for name in line.split()}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_is_named_in_running_text_exists(page: Path) -> None:
    names, shown = set(helps()), documents.read(page)
    made = {each.path for each in documents.steps(shown) if isinstance(each, File)}
    for text in documents.inline(shown):
        if named := re.match(r"experiments ([a-z]+)", text):
            assert named[1] in names, text
        if named := re.match(r"make ([a-z-]+)", text):
            assert named[1] in make_targets(), text
        if named := re.match(r"python ((?:benchmarks|tools)/\S+\.py)", text):
            assert (ROOT / named[1]).exists(), text
            script(Command(str(page), text))
        if named := re.fullmatch(r"(conf|docs|src|tests|tools|benchmarks)/[\w/.-]+", text):
            assert text in made or (ROOT / text).exists(), text


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in documents.links(documents.read(page)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in documents.anchors(path.read_text(encoding="utf-8")), target


def test_a_message_in_troubleshooting_is_one_of_ours() -> None:
    known = documents.said("src", "tools")
    text = documents.read("docs/troubleshooting.md")
    quoted = re.findall(r"^- `(.+)`$", text, flags=re.MULTILINE)
    assert len(quoted) > 20
    unknown = [each for each in quoted if not any(one.search(each) for one in known)]
    assert unknown == []


@pytest.mark.parametrize(("name", "examples"), helps().items(), ids=lambda value: value[:12])
def test_the_help_of_a_command_ends_with_an_example(name: str, examples: str) -> None:
    assert f"experiments {name}" in examples
    assert max(map(len, examples.splitlines())) <= 80


def test_the_configuration_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "configuration.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_is_short_and_its_pictures_are_small() -> None:
    assert len(documents.read("README.md").splitlines()) < 200
    for picture in (ROOT / "docs" / "pictures").iterdir():
        assert picture.stat().st_size < 150_000


class Copy:
    """A copy of the project, in which files may be added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("conf", "src", "problems"):
            shutil.copytree(ROOT / name, folder / name, ignore=skipped)
        shutil.copy(ROOT / "run.py", folder)
        (folder / "tests").symlink_to(ROOT / "tests")
        (folder / "models").mkdir()
        (folder / "models" / "demo").symlink_to(ROOT / "models" / "demo")

    def follow(self, steps: Iterator[Command | File]) -> None:
        """Write the files and type the commands, in order."""
        for step in steps:
            if isinstance(step, File):
                path = self.folder / step.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.content, encoding="utf-8")
            else:
                self.type(step)

    def type(self, command: Command) -> None:
        words = shlex.split(command.text.replace("/path/to/any.gguf", str(DEMO)))
        given = {}
        while "=" in words[0]:
            name, _, given[name] = words.pop(0).partition("=")
        code = "import sys; from experiments.cli import main; sys.exit(main())"
        first = {
            "python": [sys.executable],
            "pytest": [sys.executable, "-m", "pytest", "-n", "0", "-q"],
            "experiments": [sys.executable, "-c", code],
        }.get(words[0], [words[0]])
        if words[0] == "python" and "model=local" in words:
            words.append("limit=2")
        path = str(self.folder / "src")
        done = subprocess.run(
            [*first, *words[1:]],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", **given},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{command.text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.soak
def test_the_steps_of_adding_work_in_order(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    (tmp_path / "models" / "my_model").mkdir()
    shutil.copy(DEMO, tmp_path / "models" / "my_model" / "my-model-f16.gguf")  # no hub here
    copy.follow(documents.steps(documents.read("docs/adding.md")))
    shouted = [path.read_text() for path in tmp_path.glob("outputs/*/*/generations.jsonl")]
    assert any("WRITE THE PYTHON FUNCTION" in text for text in shouted)


@pytest.mark.soak
def test_a_first_change_takes_the_steps_that_are_shown(tmp_path: Path) -> None:
    _, _, section = documents.read("CONTRIBUTING.md").partition("## A first change")
    steps = list(documents.steps(section))
    Copy(tmp_path).follow(iter(steps[:3]))
    assert "name: short" in (tmp_path / "conf" / "prompt" / "short.yaml").read_text()


def container_copies() -> Iterator[str]:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (.+)$", text, flags=re.MULTILINE):
        yield from line.split()[:-1]


def test_the_image_takes_nothing_that_is_ignored() -> None:
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for name in container_copies():
        assert (ROOT / name).exists()
        assert any(name == each or name.startswith(f"{each}/") for each in kept), name


@pytest.mark.soak
def test_the_image_has_what_a_run_needs(tmp_path: Path) -> None:
    for name in container_copies():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copied(ROOT / name, target)
    done = subprocess.run(
        [sys.executable, "run.py", "limit=2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (path.parent for path in tmp_path.glob("outputs/*/*/metrics.json"))
    assert json.loads((folder / "metrics.json").read_text())["count/problems"] == 2


@pytest.mark.soak
def test_all_benchmarks_have_a_table_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks"), "smoke", "--out", str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    text = page.read_text(encoding="utf-8")
    for title in ("Judging", "Generating", "Tracking", "Starting"):
        assert f"\n## {title}\n" in text, done.stderr
    tables = re.findall(r"```text\n(.+?)```", text, flags=re.DOTALL)
    assert len(tables) == 4
    assert all(re.search(r"\d\.\d", table) for table in tables)
    assert "| processor |" in text


def test_the_shell_completes_commands_options_and_names(tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    for line, offered in (
        ("experiments val", "validate"),
        ("experiments judge --work", "--workers"),
        ("experiments judge humane", "humaneval_plus"),
        ("experiments models qwen2_5_coder_0", "qwen2_5_coder_0_5b"),
    ):
        found = tmp_path / "found"
        asking = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_SHELL": "bash",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(found),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        code = "from experiments.cli import main; main()"
        subprocess.run([sys.executable, "-c", code], env={**os.environ, **asking}, check=True)
        assert offered in re.split(r"[\s\x0b]+", found.read_text())


@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("models", "--models", "elsewhere"),
        ("models", "qwen2_5_coder_0_5b"),
        ("plan", "model=mistral,dolphin", "prompt=plain,cot"),
        ("plan", "model=mistrall"),
        ("report", "outputs/2026-01-31"),
        ("judge", "--help"),
    ],
    ids=" ".join,
)
def test_output_fits_80_columns_and_has_no_colour_where_none_is_wanted(
    words: tuple[str, ...], place: Path
) -> None:
    ours, theirs = pty.openpty()
    code = "import sys; from experiments.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=place,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        said = b""
        while some := read_terminal(ours):
            said += some
    os.close(ours)
    text = said.decode().replace("\r", "")
    styles = ";".join(re.findall(r"\x1b\[([\d;]*)m", text))
    asked = {int(code) for code in styles.split(";") if code}
    assert max(asked, default=0) < 30, "from 30 on are colours; bold and dim may stay"
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)
    lines = [line for line in text.splitlines() if not line.startswith(("error: ", "Report: "))]
    assert [line for line in lines if len(line) > 80] == []


def read_terminal(descriptor: int) -> bytes:
    """Return what comes next; nothing at the end, which Linux tells as an error."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
