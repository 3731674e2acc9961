"""Every file in conf/ composes, fits the schema, and can be instantiated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, get_method
from omegaconf import DictConfig, OmegaConf

from experiments import app
from experiments.schema import Config

CONF = ROOT / "conf"
GROUPS = ("model", "quantization", "prompt", "dataset", "backend", "experiment")
FILES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    assert app.main  # registers the schema
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def composed(*overrides: str) -> DictConfig:
    return compose("config", overrides=list(overrides))


@pytest.mark.parametrize(("group", "name"), FILES, ids=lambda value: str(value))
def test_a_file_composes_and_fits_the_schema(group: str, name: str) -> None:
    config = composed(f"{group}={name}")
    settings: Any = OmegaConf.to_object(config)
    assert isinstance(settings, Config)
    if group in ("model", "quantization", "prompt"):
        assert getattr(settings, group).name == name
    if group in ("dataset", "backend"):
        target = config[group]._target_
        found = get_class(target) if group == "backend" else get_method(target)
        assert callable(found)


@pytest.mark.parametrize(("group", "name"), FILES, ids=lambda value: str(value))
def test_a_file_opens_with_what_it_is_for(group: str, name: str) -> None:
    lines = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#")
    if group == "experiment":
        opening = [line for line in lines if line.startswith("#")]
        assert any("?" in line for line in opening), "a saved experiment answers a question"


@pytest.mark.parametrize("name", sorted(p.stem for p in (CONF / "experiment").glob("*.yaml")))
def test_what_a_saved_experiment_sweeps_over_exists(name: str) -> None:
    config = compose("config", overrides=[f"experiment={name}"], return_hydra_config=True)
    for key, choices in config.hydra.sweeper.params.items():
        for choice in str(choices).split(","):
            assert isinstance(OmegaConf.to_object(composed(f"{key}={choice}")), Config)


def test_the_defaults_in_the_file_are_those_of_the_schema() -> None:
    written = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    assert isinstance(written, dict)
    blocks = OmegaConf.to_container(OmegaConf.structured(Config), enum_to_str=True)
    assert isinstance(blocks, dict)
    for name in ("sampling", "sandbox", "tracking"):
        assert written[name] == blocks[name], f"conf/config.yaml and schema differ in {name}"


def test_no_group_is_forgotten() -> None:
    assert {path.name for path in CONF.iterdir() if path.is_dir()} == set(GROUPS)
    assert not [path for path in CONF.rglob("*") if path.suffix not in (".yaml", "")]
    assert Path("config.yaml") in {path.relative_to(CONF) for path in CONF.glob("*.yaml")}
