"""A run as one file: what it holds, what is refused, and that it runs elsewhere as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Workplace
from omegaconf import DictConfig, OmegaConf

from experiments.app import sent
from experiments.errors import ConfigError, DatasetError, WeightsError
from experiments.experiment import plan, shared
from experiments.records import Dataset, Weights
from experiments.schema import Config, ModelConfig, PinnedConfig, PromptConfig, QuantizationConfig

SCRIPTED = ("backend=scripted", "backend.mode=mixed", "tracking.enabled=false")

MANIFEST: dict[str, Any] = {
    "labels": {"model": "m", "quantization": "q8_0", "prompt": "plain", "dataset": "d"},
    "sampling": {"samples": 1, "temperature": 0.6},
    "backend": {"build": "1-abc", "parallel": 16, "threads": 2, "context_tokens": 4096},
    "weights": {"sha256": "a" * 64, "repository": "owner/name", "commit": "c0ffee"},
    "dataset": {"name": "d", "sha256": "b" * 64},
}


def config(**changed: Any) -> DictConfig:
    content = {
        "model": {
            "name": "m",
            "repository": "owner/name",
            "revision": "main",
            "files": {"q8_0": "m.gguf", "f16": "other/name:m-f16.gguf"},
            "api": {"base_url": "${oc.env:ADDRESS}"},
        },
        "quantization": {"name": "q8_0"},
        "prompt": {"name": "plain", "user": "costs \\${5}"},
        "dataset": {"_target_": "x", "file": "${oc.env:HOME}/mine.jsonl"},
        "backend": {
            "_target_": "y",
            "parallel": "auto",
            "threads": "auto",
            "context_tokens": 2048,
            "url": "${model.api.base_url}",
        },
        "sampling": {"samples": None, "temperature": None},
        "sandbox": {"workers": 3, "memory_megabytes": 4096, "isolation": "auto"},
        "tracking": {"uri": "postgresql://me:secret@host/db"},
        "store": "/home/me/store",
        "models": "/home/me/models",
        "seed": 7,
        "pinned": {"weights": None, "dataset": None},
    }
    return OmegaConf.create(content | changed)


def test_automatic_settings_become_what_they_were() -> None:
    found = shared.shared(config(), MANIFEST)
    assert (found["backend"]["parallel"], found["backend"]["threads"]) == (16, 2)
    assert found["backend"]["context_tokens"] == 2048  # as it was asked for
    assert found["sampling"] == MANIFEST["sampling"]
    assert found["pinned"] == {"weights": "a" * 64, "dataset": "b" * 64}
    assert "auto" not in found["backend"].values()


def test_a_revision_becomes_a_commit() -> None:
    assert shared.shared(config(), MANIFEST)["model"]["revision"] == "c0ffee"
    other = {**MANIFEST, "weights": {**MANIFEST["weights"], "repository": "other/name"}}
    model = shared.shared(config(), other)["model"]
    assert model["revision"] == "main"
    assert model["files"] == {"q8_0": "m.gguf", "f16": "other/name@c0ffee:m-f16.gguf"}


def test_what_belongs_to_a_machine_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADDRESS", "https://secret.example")
    text = shared.text(shared.shared(config(), MANIFEST), MANIFEST)
    assert "secret" not in text
    assert "/home/me" not in text
    assert "workers" not in text
    again = OmegaConf.create(text)
    raw: Any = OmegaConf.to_container(again)
    assert raw["dataset"]["file"] == "${oc.env:HOME}/mine.jsonl"
    assert raw["backend"]["url"] == raw["model"]["api"]["base_url"] == "${oc.env:ADDRESS}"
    assert again.prompt.user == "costs ${5}"


@pytest.mark.parametrize(
    "roundabout",
    ["${ oc.env:TOKEN}", "${${first}.env:TOKEN}", "${oc.decode:'${whole}'}", "${oc.select:hidden}"],
)
def test_no_way_round_brings_the_environment_into_a_file(
    roundabout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hush-hush")
    given = {"first": "oc", "whole": "${ oc.env:TOKEN }", "hidden": "${ oc.env:TOKEN }"}
    prompt = {"name": "plain", "user": roundabout, "system": "${prompt.user}"}
    found = shared.shared(config(prompt=prompt, **given), MANIFEST)
    assert "hush" not in shared.text(found, MANIFEST)


def written(folder: Path, text: str = "", **changed: Any) -> Path:
    content = shared.shared(config(), MANIFEST) | changed
    path = folder / "run.yaml"
    path.write_text(text or shared.text(content, MANIFEST))
    return path


def test_the_command_line_names_the_file_and_may_change_it(tmp_path: Path) -> None:
    file = str(written(tmp_path))
    assert sent.take(["limit=3"]) == ("config", ["limit=3"])
    assert sent.take(["-m", "+experiment=a/b"]) == ("config", ["-m", "experiment=a/b"])
    assert sent.take(["--config-name", "x.yaml"]) == ("config", ["--config-name", "x.yaml"])
    assert sent.take([file, "limit=3"]) == ("sent", ["limit=3"])
    assert sent.take(["-m", file, "limit=3,4"]) == ("sent", ["-m", "limit=3,4"])
    with pytest.raises(ConfigError, match="One run's file at a time"):
        sent.take([file, file.replace("run", "other")])
    with pytest.raises(ConfigError, match="another question"):
        sent.take([file, "experiment=ladder"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read: No such file"),
        ("[1, 2]", "holds no settings"),
        ("a: [", "cannot be read"),
        ("a: \t1", "cannot be read|sets 'a'"),
        ("hydra: {run: {dir: /}}", "sets 'hydra', which a run's file may not"),
        ("defaults: [x]", "sets 'defaults'"),
        ("tracking: {uri: 'http://evil'}", "sets 'tracking'"),
        ("model: &x {name: m}\nprompt: *x", r"refers to parts of itself"),
        ("model: {name: m}", "has no block 'quantization'"),
        (f"note: {'x' * 2_000_000}", "too long"),
    ],
)
def test_what_is_no_run_s_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = written(tmp_path, text) if text else tmp_path / "nowhere.yaml"
    with pytest.raises(ConfigError, match=reason) as error:
        sent.take([str(path)])
    assert "\n" not in str(error.value)


def pinned(dataset: str | None, weights: str | None) -> None:
    """Plan a run of nothing that is held to these digests."""
    settings = Config(
        model=ModelConfig(name="m"),
        quantization=QuantizationConfig(name="q8_0", ftype="MOSTLY_Q8_0"),
        prompt=PromptConfig(name="p"),
        dataset={},
        backend={},
        pinned=PinnedConfig(weights=weights, dataset=dataset),
    )

    class Nothing:
        def prepare(self, *_: object) -> list[object]:
            return []

    plan(
        settings,
        lambda: Dataset("d", "right", ()),
        lambda **_: Nothing(),  # type: ignore[arg-type, return-value]
        Path(),
        needs_weights=True,
        find_weights=lambda *_: Weights(Path("m.gguf"), "right", "m", "q8_0", 1, 8.0, 1),
    )


def test_other_weights_and_problems_are_refused_with_a_way_on() -> None:
    pinned(None, None)
    pinned("right", "right")
    with pytest.raises(WeightsError, match=r"m\.gguf has the SHA-256 .* pinned\.weights=null"):
        pinned("right", "wrong")
    with pytest.raises(DatasetError, match=r"data set d has the SHA-256 .* pinned\.dataset=null"):
        pinned("wrong", "right")


def outputs(place: Workplace) -> list[str]:
    (folder,) = place.runs
    return [
        json.loads(line)["text"] for line in (folder / "generations.jsonl").read_text().splitlines()
    ]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Workplace:
    (tmp_path / "elsewhere").mkdir()
    return Workplace(tmp_path / "elsewhere")


def test_a_run_s_file_runs_elsewhere_as_it_is(workplace: Workplace, elsewhere: Workplace) -> None:
    done = workplace.run(*SCRIPTED, "limit=4", "prompt=cot", "sandbox.memory_megabytes=2048")
    assert done.returncode == 0, done.stderr
    (folder,) = workplace.runs
    file = elsewhere.folder / "from-a-colleague.yaml"
    file.write_bytes((folder / "run.yaml").read_bytes())
    done = elsewhere.run(file.name, "tracking.enabled=false")
    assert done.returncode == 0, done.stderr
    assert "demo · cot · problems" in done.stdout
    assert outputs(elsewhere) == outputs(workplace)
    (again,) = elsewhere.runs
    assert (again / "run.yaml").read_text() == (folder / "run.yaml").read_text()

    text = file.read_text()
    file.write_text(text.replace("  dataset: ", "  dataset: 0"))
    done = elsewhere.run(file.name, "tracking.enabled=false")
    assert done.returncode == 1
    assert "pinned.dataset=null" in done.stderr
    assert "Traceback" not in done.stderr
    done = elsewhere.run(file.name, "tracking.enabled=false", "pinned.dataset=null")
    assert done.returncode == 0, done.stderr


def test_a_choice_of_the_command_line_replaces_that_of_the_file(
    workplace: Workplace, elsewhere: Workplace
) -> None:
    assert workplace.run(*SCRIPTED, "limit=2").returncode == 0
    (folder,) = workplace.runs
    file = str(folder / "run.yaml")
    done = elsewhere.run("-m", file, "tracking.enabled=false", "prompt=cot,few_shot")
    assert done.returncode == 0, done.stderr
    assert len(elsewhere.runs) == 2
    assert "few_shot" in done.stdout


def test_a_saved_configuration_runs_by_hydra_s_own_options(workplace: Workplace) -> None:
    assert workplace.run(*SCRIPTED, "limit=2").returncode == 0
    (folder,) = workplace.runs
    saved = ("--config-path", str(folder / ".hydra"), "--config-name", "config")
    done = workplace.run(*saved, "hydra.run.dir=outputs/again/0", "limit=3")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(workplace.runs) == 2
    one_file = ("--config-dir", str(folder), "--config-name", "run")
    done = workplace.run(*one_file, "hydra.run.dir=outputs/again/1", "+tracking.enabled=false")
    assert done.returncode == 0, done.stderr
