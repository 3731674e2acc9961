"""`experiments runs` and `experiments clean`."""

from pathlib import Path

import pytest
from test_report import make_run

from experiments import cli
from experiments.errors import StoreError
from experiments.report import listing
from experiments.report.listing import State
from experiments.store import claims


def job(folder: Path, failure: str = "", generations: int = 0) -> Path:
    """Write the folder of a run that has no result."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text("seed: 0\n")
    (folder / ".hydra" / "overrides.yaml").write_text("- model=demo\n- limit=3\n")
    (folder / claims.CLAIM).write_text("{}")
    if failure:
        (folder / "failure.txt").write_text(f"{failure}\n")
    if generations:
        (folder / "generations.jsonl").write_text("{}\n" * generations)
    return folder


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A folder with a run of each kind, and what is no run."""
    outputs = tmp_path / "outputs"
    day = outputs / "2026-01-31"
    make_run(day / "10-00-00", [True, False])
    job(day / "11-00-00", "Not enough memory\x1b[31m")
    job(day / "12-00-00", generations=7)
    sweep = day / "13-00-00"
    make_run(sweep / "0", [True])
    job(sweep / "1", "It died")
    gone = day / "14-00-00"
    job(gone / "0", "It died")
    (gone / "multirun.yaml").write_text("x: 1\n")
    (gone / "figures").mkdir()
    (gone / "report.html").write_text("<html>")
    for name in ("store", "cache"):
        (outputs / name).mkdir()
        (outputs / name / "kept.jsonl").write_text("{}\n")
    job(outputs / "store" / "odd", "It looks like a run")
    return outputs


def states(outputs: Path) -> dict[str, State]:
    return {str(e.folder.relative_to(outputs)): e.state for e in listing.listed(outputs)}


def test_each_run_is_listed_with_its_state(outputs: Path) -> None:
    day = "2026-01-31"
    assert states(outputs) == {
        f"{day}/10-00-00": State.FINISHED,
        f"{day}/11-00-00": State.FAILED,
        f"{day}/12-00-00": State.STOPPED,
        f"{day}/13-00-00/0": State.FINISHED,
        f"{day}/13-00-00/1": State.FAILED,
        f"{day}/14-00-00/0": State.FAILED,
    }
    found = {str(each.folder.relative_to(outputs)): each for each in listing.listed(outputs)}
    assert found[f"{day}/12-00-00"].missing == "verdicts; 7 generations are there"
    assert found[f"{day}/12-00-00"].what == "model=demo limit=3"
    assert found[f"{day}/11-00-00"].missing == r"Not enough memory\x1b[31m"
    assert found[f"{day}/10-00-00"].score == 0.5


def test_a_run_that_goes_on_is_seen_and_left_alone(outputs: Path) -> None:
    sweep = outputs / "2026-01-31" / "13-00-00"
    with claims.claimed(sweep):
        assert not [
            e for e in listing.removable(listing.listed(outputs)) if sweep in e.folder.parents
        ]
    going = job(sweep / "2")
    with claims.claimed(going):
        found = listing.listed(outputs)
        assert states(outputs)["2026-01-31/13-00-00/2"] is State.GOES_ON
        removable = listing.removable(found)
        assert not [each for each in removable if sweep in each.folder.parents]
        assert listing.remove([e for e in found if e.folder == going], outputs) == 0
    assert states(outputs)["2026-01-31/13-00-00/2"] is State.STOPPED


def test_clean_removes_what_has_no_result_and_nothing_else(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = outputs.parent / "outside"
    job(outside, "It failed elsewhere")
    (outputs / "2026-01-31" / "link").symlink_to(outside)
    assert cli.main(["clean", str(outputs), "--yes"]) == 0
    assert "4 removed" in capsys.readouterr().out
    assert set(states(outputs).values()) == {State.FINISHED}
    day = outputs / "2026-01-31"
    assert {path.name for path in day.iterdir()} == {"10-00-00", "13-00-00", "link"}
    assert (outputs / "store" / "odd" / "failure.txt").exists()
    assert (outputs / "cache" / "kept.jsonl").exists()
    assert (outside / "failure.txt").exists()
    assert cli.main(["clean", str(outputs), "--yes"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_clean_leaves_what_cannot_be_made_again(outputs: Path) -> None:
    day = outputs / "2026-01-31"
    later = day / "10-00-00" / "manifest.json"
    later.write_text('{"format": 99, "labels": {}}')
    (day / "13-00-00" / "0" / "metrics.json").write_text("")
    (day / "12-00-00" / "reviews.jsonl").write_text('{"points": 3}\n')
    another = job(outputs / "2026-02-01" / "of another program")
    (another / claims.CLAIM).unlink()
    half = job(outputs / ".import-x" / "runs" / "0", "It was being imported")
    assert states(outputs)["2026-01-31/10-00-00"] is State.DAMAGED
    assert states(outputs)["2026-01-31/13-00-00/0"] is State.DAMAGED
    assert not {str(folder.relative_to(outputs)) for folder in (another, half)} & {*states(outputs)}
    assert cli.main(["clean", str(outputs), "--yes"]) == 0
    assert later.exists()
    for kept in ("13-00-00/0/verdicts.jsonl", "12-00-00/reviews.jsonl"):
        assert (day / kept).exists()
    assert (another / ".hydra" / "config.yaml").exists()
    assert not (day / "11-00-00").exists()


def test_clean_asks(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["clean", str(outputs)]) == 1
    assert "To remove them: experiments clean --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for answer, left in (("", 6), ("no", 6), ("y", 2)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        assert cli.main(["clean", str(outputs)]) == (0 if answer == "y" else 1)
        assert len(states(outputs)) == left


def test_the_list_is_readable_at_80_columns(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing.results, "width", 80)
    assert cli.main(["runs", str(outputs)]) == 0
    said = capsys.readouterr().out
    assert all(len(line) <= 80 for line in said.splitlines())
    for name in ("10-00-00", "13-00-00/1", "finished", "stopped", "50.0", "verdicts; 7"):
        assert name in said
    assert "2 finished, 3 failed, 1 stopped" in said


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no folder"):
        listing.listed(tmp_path / "nowhere")
