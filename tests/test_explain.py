import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from hydra.errors import HydraException
from omegaconf import OmegaConf

from experiments.app import trust
from experiments.app.explain import explain, full_disk, refuse_unknown
from experiments.environment.project import at_hand
from experiments.errors import ConfigError


def options(group: str) -> str:
    return ", ".join(sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml")))


def said(root: Path, folder: Path, *overrides: str) -> tuple[int, str]:
    command = [sys.executable, str(root / "run.py"), *overrides]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "modle=demo",
            "error: There is no setting 'modle'. Did you mean 'model'? See conf/config.yaml.",
        ),
        (
            "sampling.temprature=1",
            "error: There is no setting 'sampling.temprature'. Did you mean 'temperature'? "
            "See conf/config.yaml.",
        ),
        (
            "model=demoo",
            "error: There is no model 'demoo' (conf/model/demoo.yaml). Did you mean 'demo'? "
            "See conf/model/.",
        ),
        (
            "quantization=q9",
            "error: There is no quantization 'q9' (conf/quantization/q9.yaml). "
            f"Known: {options('quantization')}.",
        ),
        (
            "limit=ten",
            "error: limit has a wrong value: Value 'ten' of type 'str' could not be converted "
            "to Integer. See limit in conf/.",
        ),
        (
            "sandbox.isolation=jail",
            "error: sandbox.isolation has a wrong value: Invalid value 'jail', expected one of "
            "[auto, bubblewrap, process]. See sandbox.isolation in conf/.",
        ),
        ("seed=null", "error: seed may not be null. Leave it out to take the default."),
        (
            "tracking=off",
            "error: There is no tracking 'off' (conf/tracking/off.yaml). Known: local, server.",
        ),
        (
            "+fobar=1",
            "error: There is no setting 'fobar'. Known: backend, cache, dataset, fidelity, limit, "
            "model, models, pinned, prompt, quantization, race, rerun, sampling, sandbox, seed, "
            "store, thinking, thinking_budget, tracking. "
            "See conf/config.yaml.",
        ),
        (
            "+model.api.modle=gpt",
            "error: There is no setting 'model.api.modle'. Did you mean 'model'? "
            "See conf/model/*.yaml.",
        ),
        (
            "+backend.paralel=2",
            "error: There is no setting 'backend.paralel'. Did you mean 'parallel'? "
            "See conf/backend/*.yaml.",
        ),
        (
            "model=",
            "error: There is no model '' (conf/model/.yaml). Known: "
            f"{', '.join(options('model').split(', ')[:5])}, "
            f"and {options('model').count(',') - 4} more. See conf/model/.",
        ),
        (
            "+experiment=paper/nope",
            "error: There is no experiment/paper 'nope' (conf/experiment/paper/nope.yaml). "
            f"Known: {options('experiment/paper')}.",
        ),
        (
            "=x",
            "error: The command line cannot be read: Could not override ''. An override is "
            "KEY=VALUE; quote values with special characters: \"key='a, b'\"",
        ),
        ("~model", "error: model is not set. Give it a value: model=..."),
        (
            "hydra.run.dir=/dev/null/here",
            "error: The run's folder cannot be made: Not a directory: /dev/null/here. Set "
            "hydra.run.dir (of a sweep: hydra.sweep.dir) to a folder that can be written.",
        ),
        (
            "limit",
            "error: The command line cannot be read: Error parsing override 'limit' missing "
            "EQUAL at '<EOF>'. An override is KEY=VALUE; quote values with special characters: "
            "\"key='a, b'\"",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    root: Path, tmp_path: Path, override: str, expected: str
) -> None:
    code, text = said(root, tmp_path, override)
    assert text == expected
    assert code == 1


def test_a_run_has_a_folder_of_its_own(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_text("large")
    for folder in ("", ".", ".."):
        code, text = said(root, tmp_path, f"hydra.run.dir={folder}", "backend=scripted")
        assert text.startswith("error: The run's folder would be ")
        assert text.endswith("Name another: hydra.run.dir=outputs/NAME")
        assert code == 1
    assert not (tmp_path / "failure.txt").exists()
    assert not (tmp_path / "mlruns").exists()


def test_a_sweep_with_a_wrong_option_starts_no_job(root: Path, tmp_path: Path) -> None:
    code, text = said(root, tmp_path, "-m", "prompt=plain,coot")
    assert text.splitlines()[-1].startswith("error: There is no prompt 'coot'")
    assert code == 1
    assert not list(tmp_path.glob("outputs/**/generations.jsonl"))


def test_a_mistake_in_a_file_names_the_file(root: Path, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    for path in (root / "conf").rglob("*.yaml"):
        copy = conf / path.relative_to(root / "conf")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    wrong = conf / "prompt" / "plain.yaml"
    wrong.write_text(wrong.read_text() + "tempertaure: 3\n")
    code, text = said(root, tmp_path, "--config-path", str(conf))
    assert "tempertaure" in text
    assert len(text.splitlines()) == 1
    assert code == 1


def test_a_full_disk_is_told_without_a_traceback() -> None:
    told = full_disk(OSError(errno.ENOSPC, "No space left on device", "/here/verdicts.jsonl"))
    assert str(told) == (
        "No space left on device: /here/verdicts.jsonl. What is done is kept. Free some space, "
        "and the same command goes on from there."
    )


def test_an_error_that_nobody_foresaw_is_no_full_disk() -> None:
    assert full_disk(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
    assert full_disk(ValueError("x")) is None


def test_a_saved_configuration_may_name_a_setting_of_an_earlier_version(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = OmegaConf.create({"backend": {"_target_": "mine.Backend", "lanes": 2, "threads": 1}})
    OmegaConf.set_struct(config, True)
    refuse_unknown(config.backend, lambda _: ["threads"], ("backend",))
    assert config.backend == {"_target_": "mine.Backend", "threads": 1}
    assert "lanes is not a setting any more" in caplog.text
    kept = OmegaConf.create({"_target_": "other.Backend", "lanes": 2})
    refuse_unknown(kept, lambda _: ["lanes"], ("backend",))
    assert kept.lanes == 2  # another backend's own


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"name: plain\n\tuser: x\n", r"found character '\t'"),
        (b"name: \x00\x01plain\n", "special characters are not allowed"),
        (b"\xff\xfe\x00name: pl\xe9ain\n", "can't decode byte 0xff"),
        (b"name: [1, 2", "expected ',' or ']'"),
        (b"name: a\nname: b\n", "found duplicate key name"),
    ],
)
def test_a_file_that_is_no_yaml_is_named_in_a_line(
    root: Path, tmp_path: Path, content: bytes, reason: str
) -> None:
    shutil.copytree(root / "conf", tmp_path / "conf")
    wrong = tmp_path / "conf" / "prompt" / "plain.yaml"
    wrong.write_bytes(content)
    with pytest.raises(ConfigError) as told:
        trust.check_command([], tmp_path)
    assert str(wrong) in str(told.value)
    assert reason in str(told.value)
    assert "\n" not in str(told.value)


def test_an_experiment_without_its_first_line_is_told_what_to_write(
    root: Path, tmp_path: Path
) -> None:
    shutil.copytree(root / "conf", tmp_path / "conf")
    saved = tmp_path / "conf" / "experiment" / "mine.yaml"
    for defaults in ("override /model: demo", "model: demo"):
        saved.write_text(f"defaults:\n  - {defaults}\n")
        with pytest.raises(HydraException) as told:
            trust.check_command(["experiment=mine"], tmp_path)
        assert "# @package _global_" in explain(told.value)


def test_the_project_is_found_from_any_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert at_hand("problems") == root / "problems"
    assert at_hand("nowhere") == Path("nowhere")
    (tmp_path / "problems").mkdir()
    assert at_hand("problems") == Path("problems")
    assert at_hand(tmp_path / "x") == tmp_path / "x"


def test_mlflow_is_the_project_s_wherever_a_command_is_typed(root: Path, tmp_path: Path) -> None:
    code = "from experiments.cli.common import TRACKING; print(TRACKING)"
    for folder, expected in ((tmp_path, f"{root}/mlruns"), (root, "mlruns")):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        assert done.stdout == f"sqlite:///{expected}/mlflow.db\n"


def test_reading_problems_elsewhere_leaves_no_folder_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.problems import load_problem

    (tmp_path / "project" / "outputs").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("experiments.environment.project.PROJECT", tmp_path / "project")
    monkeypatch.chdir(tmp_path / "elsewhere")
    load_problem(root / "problems" / "easy" / "quiet_hours.py")
    assert not list(Path().iterdir())
    assert list((tmp_path / "project" / "outputs" / "cache" / "problems").iterdir())
