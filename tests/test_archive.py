"""Runs in one file: written the same each time, and read with suspicion."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reviewed_runs import make_run

from experiments.cli import main
from experiments.cli.archive import bring_in, export
from experiments.errors import DatasetError, StoreError
from experiments.experiment import elsewhere
from experiments.records import Dataset, Outcome, Problem
from experiments.store import archive, runs
from experiments.tracking import notes


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    make_run(tmp_path / "sweep" / "0", [10, 10, 3], model="one")
    make_run(tmp_path / "sweep" / "1", [10, 0, 3], model="two")
    return tmp_path / "sweep"


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write an archive anew with other files, which its index is right about."""
    with zipfile.ZipFile(source) as reading:
        files = {name: reading.read(name) for name in reading.namelist()}
    change(files)
    index = json.loads(files[archive.INDEX])
    index["files"] = {
        name: hashlib.sha256(text).hexdigest()
        for name, text in files.items()
        if name != archive.INDEX
    }
    files[archive.INDEX] = json.dumps(index).encode()
    with zipfile.ZipFile(target, "w") as writing:
        for name, text in files.items():
            writing.writestr(name, text)
    return target


def test_an_archive_is_the_same_each_time(sweep: Path, tmp_path: Path) -> None:
    assert export(sweep, tmp_path / "a.zip") == 2
    for path in sweep.rglob("*"):
        path.touch()
    export(sweep, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as reading:
        names = set(reading.namelist())
    assert {"archive.json", "report.html", "0/manifest.json", "1/generations.jsonl"} <= names


def test_a_run_that_nobody_could_import_is_told_and_left_out(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = sweep / "0" / "verdicts.jsonl"
    verdicts.write_bytes(verdicts.read_bytes()[:-20])
    assert export(sweep, tmp_path / "a.zip") == 1
    assert "left out: " in (told := capsys.readouterr().err)
    assert "0/verdicts.jsonl has verdicts on 2 of 3 problems" in told
    assert len(bring_in(tmp_path / "a.zip", tmp_path / "in", None, tmp_path / "cache")) == 1
    (sweep / "1" / "samples.jsonl").unlink()
    with pytest.raises(StoreError, match="No finished run"):
        export(sweep, tmp_path / "b.zip")
    assert "programs and verdicts do not go together" in capsys.readouterr().err


def test_no_device_is_replaced_by_an_archive(sweep: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="pipe is no ordinary file"):
        export(sweep, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_a_password_in_an_address_is_not_packed(sweep: Path, tmp_path: Path) -> None:
    manifest = json.loads((sweep / "0" / "manifest.json").read_text())
    manifest["overrides"] = ["tracking.uri=postgresql://me:secret@host/db"]
    (sweep / "0" / "manifest.json").write_text(json.dumps(manifest))
    export(sweep, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as reading:
        packed = reading.read("0/manifest.json").decode()
    assert "secret" not in packed
    assert "postgresql://me:***@host/db" in packed


def test_what_a_link_leads_to_is_not_packed(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of nobody else")
    (sweep / "0" / "audit.json").symlink_to(tmp_path / "key")
    (sweep / "report.html").write_text("a page")
    (sweep / "report.md").symlink_to(tmp_path / "key")
    export(sweep, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as reading:
        names = set(reading.namelist())
    assert "0/manifest.json" in names
    assert not names & {"0/audit.json", "report.md"}


def test_verdicts_are_somebody_else_s_until_they_are_judged_here(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(sweep, tmp_path / "a.zip")
    found = bring_in(tmp_path / "a.zip", tmp_path / "in" / "a", None, tmp_path / "cache")
    assert [folder.name for folder in found] == ["0", "1"]
    report = runs.read_report(found[0])
    assert report.labels["verdicts"] == "of somebody else"
    assert "nothing was judged here" in report.note
    assert "nothing was judged here" in capsys.readouterr().out
    assert report.metrics["pass_at_1/plus"] == pytest.approx(2 / 3)
    assert (tmp_path / "in" / "a" / "report.html").exists()


def dataset(digest: str = "0") -> Dataset:
    """The problems of `make_run`, whose programs are right in the first and in no other."""
    problems = (
        Problem(f"p{n}", "f", "def f(x): ...", f"def f(x): return x + {n and n + 1}", ((1,),))
        for n in range(3)
    )
    return Dataset("d", digest, tuple(problems))


def test_judging_here_replaces_the_verdicts_and_says_how_many_changed(
    sweep: Path, tmp_path: Path
) -> None:
    export(sweep, tmp_path / "a.zip")
    found = bring_in(
        tmp_path / "a.zip", tmp_path / "in" / "a", lambda _: dataset(), tmp_path / "cache"
    )
    report = runs.read_report(found[0])
    verdicts = runs.read_verdicts(found[0])
    assert [v.plus is Outcome.PASSED for v in verdicts] == [True, False, False]
    assert report.metrics["pass_at_1/plus"] == pytest.approx(1 / 3)
    assert "verdicts" not in report.labels
    assert "Judged here anew: 2 of 3 verdicts are as they came" in report.note


def test_another_data_set_judges_nothing(sweep: Path, tmp_path: Path) -> None:
    export(sweep, tmp_path / "a.zip")
    with pytest.raises(DatasetError, match="--dataset FILE"):
        bring_in(
            tmp_path / "a.zip", tmp_path / "in" / "a", lambda _: dataset("1"), tmp_path / "cache"
        )
    assert not (tmp_path / "in").exists()


def test_numbers_that_contradict_the_verdicts_are_not_believed(sweep: Path, tmp_path: Path) -> None:
    export(sweep, tmp_path / "a.zip")

    def lie(files: dict[str, bytes]) -> None:
        metrics = json.loads(files["0/metrics.json"])
        files["0/metrics.json"] = json.dumps(metrics | {"pass_at_1/plus": 1.0}).encode()

    lying = rewritten(tmp_path / "a.zip", tmp_path / "lie.zip", lie)
    found = bring_in(lying, tmp_path / "in", None, tmp_path / "cache")
    assert runs.read_report(found[0]).metrics["pass_at_1/plus"] == pytest.approx(2 / 3)


def test_the_page_of_a_stranger_is_not_taken(sweep: Path, tmp_path: Path) -> None:
    export(sweep, tmp_path / "a.zip")

    def add(files: dict[str, bytes]) -> None:
        files["report.html"] = b"<script>steal()</script>"
        files["figures/x.svg"] = b"<svg onload='steal()'/>"

    bring_in(
        rewritten(tmp_path / "a.zip", tmp_path / "b.zip", add), tmp_path / "in", None, tmp_path
    )
    assert "steal" not in "".join(p.read_text() for p in (tmp_path / "in").rglob("*.[hs]*[lg]"))


BAD_NAMES = ("../escape.json", "/etc/cron.d/x", "0/../../x", "C:\\x", "0/run.sh", "0/.hydra/c.yaml")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_no_run_has_is_refused(sweep: Path, tmp_path: Path, name: str) -> None:
    export(sweep, tmp_path / "a.zip")
    bad = rewritten(tmp_path / "a.zip", tmp_path / "b.zip", lambda files: files.update({name: b""}))
    refused(bad, tmp_path, "is no file of a run")


def refused(bad: Path, folder: Path, reason: str) -> None:
    """Hold that an archive is refused in one line, and that nothing is left behind."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(StoreError, match=reason) as error:
        bring_in(bad, folder / "in" / "x", None, folder / "cache")
    assert "\n" not in str(error.value)
    assert sorted(folder.rglob("*")) == before


def one(
    name: str,
    text: bytes = b"{}",
    mode: int = 0,
    twice: bool = False,
    packing: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """Return an archive with one member, or two of one name."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as writing:
        for _ in range(1 + twice):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = packing
            writing.writestr(entry, text)
    return written.getvalue()


def encrypted() -> bytes:
    data = bytearray(one("archive.json"))
    data[6] |= 1  # of the member
    data[data.index(b"PK\x01\x02") + 8] |= 1  # of the list of members
    return bytes(data)


def lying_size() -> bytes:
    data = bytearray(one("archive.json", b"x" * 5000))
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (10).to_bytes(4, "little")
    return bytes(data)


def many() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as writing:
        for number in range(archive.MOST_FILES + 1):
            writing.writestr(f"r{number}/manifest.json", b"")
    return written.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: one("archive.json", b"0" * 10**8), "would unpack to 100 MB"),
        (lambda: one("archive.json", mode=stat.S_IFLNK | 0o777), "a link or a folder"),
        (lambda: one("archive.json", twice=True), "is there twice"),
        (encrypted, "is encrypted"),
        (lying_size, "another size|cannot be read"),
        (lambda: one("archive.json", packing=zipfile.ZIP_LZMA), "a way that export does not use"),
        (lambda: one("archive.json", packing=zipfile.ZIP_BZIP2), "a way that export does not use"),
        (many, "more than 5,000"),
        (lambda: one("archive.json", b"{"), "is no JSON"),
        (lambda: one("archive.json", b"[" * 100_000), "is no JSON|would unpack"),
        (lambda: one("archive.json", b"[1]"), "holds no names"),
        (lambda: one("archive.json", b'{"format": 9}'), "its format is 9"),
        (lambda: one("0/manifest.json"), "it has no archive.json"),
        (lambda: one("archive.json")[:-30], "cannot be read"),
        (lambda: b"PK\x03\x04 nothing of the kind", "cannot be read"),
        (lambda: b"", "cannot be read"),
    ],
)
def test_a_hostile_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, content: Callable[[], bytes], reason: str
) -> None:
    (tmp_path / "bad.zip").write_bytes(content())
    refused(tmp_path / "bad.zip", tmp_path, reason)


def with_verdict(changed: dict[str, Any]) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        first, *others = files["0/verdicts.jsonl"].decode().splitlines()
        lines = [json.dumps(json.loads(first) | changed), *others]
        files["0/verdicts.jsonl"] = "\n".join(lines).encode()

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_verdict({"base_total": "<b>"}), "hold a base_total that is no"),
        (with_verdict({"base_total": 10**400}), "is no JSON .a number is too long"),
        (lambda files: files.update({"0/metrics.json": b"[" + b"9" * 30 + b"]"}), "too long"),
        (with_verdict({"problem_id": 7}), "hold a problem_id that is no"),
        (with_verdict({"problem_id": "other"}), "do not go together"),
        (lambda files: files.pop("0/samples.jsonl"), "do not go together"),
        (lambda files: files.update({"0/samples.jsonl": b"{broken"}), "is no JSON"),
        (lambda files: files.update({"0/manifest.json": b"{}"}), "cannot be read"),
        (lambda files: files.update({"0/manifest.json": b'{"labels": 7}'}), "cannot be read"),
        (
            lambda files: files.update({"0/manifest.json": b'{"labels": {}, "weights": [1]}'}),
            "its manifest has no names and values under weights",
        ),
        (lambda files: [files.pop(f"{n}/metrics.json") for n in "01"], "no finished run"),
    ],
)
def test_damaged_runs_are_refused(
    sweep: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], reason: str
) -> None:
    export(sweep, tmp_path / "a.zip")
    refused(rewritten(tmp_path / "a.zip", tmp_path / "b.zip", change), tmp_path, reason)


def test_a_changed_file_is_found_by_its_digest(sweep: Path, tmp_path: Path) -> None:
    export(sweep, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as reading:
        files = {name: reading.read(name) for name in reading.namelist()}
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as writing:
        for name, text in files.items():
            writing.writestr(name, text.replace(b"wrong_answer", b"passed"))
    refused(tmp_path / "b.zip", tmp_path, "is damaged")


@pytest.mark.parametrize("command", ["import", "reproduce"])
def test_a_file_that_is_no_whole_archive_is_told_as_such(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    export(sweep, tmp_path / "a.zip")
    (tmp_path / "half.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-300])
    assert main([command, str(tmp_path / "half.zip")]) == 1
    assert "half.zip cannot be read: File is not a zip file" in capsys.readouterr().err
    if command == "import":
        for path, reason in ((tmp_path / "none.zip", "No such file"), (tmp_path, "Is a directory")):
            assert main([command, str(path)]) == 1
            assert f"{path} cannot be read: {reason}" in capsys.readouterr().err


def test_one_command_tells_archives_from_results_of_evalplus(
    tmp_path: Path, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(sweep), "runs.json"]) == 0  # whatever its name
    assert main(["import", "runs.json", "--no-mlflow"]) == 0
    assert (tmp_path / "outputs" / "imported" / "runs.json" / "0" / "metrics.json").exists()
    (tmp_path / "x_eval_results.json").write_text('{"eval": {}}')
    assert main(["import", "x_eval_results.json"]) == 1
    assert "--dataset humaneval_plus" in capsys.readouterr().err
    assert main(["import", "runs.json", "--no-mlflow"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert main(["import", "runs.json", "--name", "../x"]) == 1


@pytest.mark.parametrize("before", ["a run", "a file", "nothing"])
def test_results_of_evalplus_overwrite_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = {"task_id": "p0", "prompt": "def f(x):\n", "entry_point": "f"}
    Path("mine.jsonl").write_text(json.dumps(mine | {"inputs": [[1]], "outputs": [1]}))
    entry = {"solution": "def f(x): return x", "base_status": "pass", "plus_status": "pass"}
    results = Path("x_eval_results.json")
    results.write_text(json.dumps({"eval": {"p0": [entry]}}))
    command = ["import", str(results), "--dataset", "mine.jsonl", "--out", "in/x"]
    if before == "a run":
        assert main(command) == 0
        results.write_text(json.dumps({"eval": {"p0": [entry | {"base_status": "fail"}]}}))
    elif before == "a file":
        Path("in", "x").mkdir(parents=True)
        Path("in", "x", "metrics.json").write_text("mine")
    else:
        results.write_text('{"eval": {"other": []}}')
    kept = {path: path.read_bytes() for path in Path("in").rglob("*") if path.is_file()}
    assert main(command) == 1
    told = "in/x is there already" if kept else "other is not in mine"
    assert told in capsys.readouterr().err
    assert {p: p.read_bytes() for p in Path("in").rglob("*") if p.is_file()} == kept
    assert Path("in").exists() == bool(kept)  # and nothing half-made is left


def test_runs_that_mlflow_does_not_take_are_there_and_can_be_brought_later(
    tmp_path: Path, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    export(sweep, tmp_path / "a.zip")
    assert main(["import", "a.zip", "--out", "in", "--uri", f"sqlite:///{sweep}"]) == 1
    assert "to bring them there later: experiments sync in" in capsys.readouterr().err
    lacking = [notes.read(folder) for folder in notes.tracked(tmp_path / "in")]
    assert [note and note.is_complete for note in lacking] == [False] * 3


def test_an_imported_sweep_is_in_mlflow_once(
    tmp_path: Path, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    export(sweep, tmp_path / "a.zip")
    assert main(["import", "a.zip"]) == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    experiments = [each.experiment_id for each in client.search_experiments()]
    found = {run.info.run_name: run for run in client.search_runs(experiments)}
    assert len(found) == 3
    one = found["one · q8_0 · plain · d"]
    assert one.data.tags["verdicts"] == "of somebody else"
    assert one.data.tags["mlflow.parentRunId"] == found["imported · a"].info.run_id
    assert one.data.metrics["pass_at_1/plus"] == pytest.approx(2 / 3)


def test_a_run_that_was_adopted_twice_has_one_note(sweep: Path) -> None:
    for _ in range(2):
        elsewhere.adopt(sweep / "0", "a.zip")
    assert runs.read_report(sweep / "0").note.count("nothing was judged here") == 1
