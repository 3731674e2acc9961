"""Every file in conf/ composes, fits the schema, and can be instantiated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hydra.types import RunMode
from hydra.utils import get_class, get_method
from omegaconf import DictConfig, OmegaConf

from experiments import app
from experiments.cli.models import models
from experiments.schema import BITS_PER_WEIGHT, Config, ModelConfig, SamplingConfig, check

CONF = ROOT / "conf"
GROUPS = ("model", "quantization", "prompt", "dataset", "backend", "tracking", "experiment")
MODELS = models(CONF)
THINKING_MODES = {"on", "off", "low", "medium", "high"}
FILES = [
    (group, str(path.relative_to(CONF / group).with_suffix("")))
    for group in GROUPS
    for path in sorted((CONF / group).rglob("*.yaml"))
]


@pytest.fixture(autouse=True)
def _hydra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    assert app.main  # registers the schema
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
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


@pytest.mark.parametrize("name", [name for group, name in FILES if group == "experiment"])
def test_what_a_saved_experiment_sweeps_over_exists(name: str) -> None:
    config = compose("config", overrides=[f"experiment={name}"], return_hydra_config=True)
    for key, choices in config.hydra.sweeper.params.items():
        for choice in str(choices).split(","):
            assert isinstance(OmegaConf.to_object(composed(f"{key}={choice}")), Config)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_what_makers_ask_for_is_sampling_within_its_ranges(model: ModelConfig) -> None:
    for asked in (model.sampling, model.thinking.sampling):
        check(SamplingConfig(**asked), "sampling.")  # a name that is none is a TypeError


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_model_that_can_be_told_how_to_think_says_how(model: ModelConfig) -> None:
    thinking = model.thinking
    modes = set(thinking.modes)
    assert modes <= THINKING_MODES
    assert thinking.default in ({"", *modes} if modes else {"", "on"})
    assert set(thinking.switch) <= modes
    assert bool(modes) == bool(thinking.argument or thinking.switch)
    assert {"on", "off"} <= modes or not modes & {"on", "off"}, "one of the two says nothing"


def test_a_service_that_ended_names_what_comes_after_it() -> None:
    for model in MODELS.values():
        if model.ended:
            _, _, successor = model.ended.partition("model=")
            assert MODELS[successor.rstrip(").")].api.model
            assert not MODELS[successor.rstrip(").")].ended


def test_published_figures_are_percentages_with_a_source() -> None:
    for model in MODELS.values():
        figures = {**model.published}
        assert bool(figures) == bool(figures.pop("source", ""))
        for name, value in figures.items():
            assert 0 < value < 100, f"{model.name}: {name}"


def test_models_whose_thinking_is_set_by_an_experiment_can_be_told() -> None:
    for name in sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")):
        config = compose("config", overrides=[f"experiment={name}"], return_hydra_config=True)
        params = config.hydra.sweeper.params or {}
        modes = set(str(params.get("thinking", config.thinking or "")).split(",")) - {""}
        for model in str(params.get("model", config.model.name)).split(","):
            assert modes <= set(MODELS[model].thinking.modes), f"{name}: {model}"


def test_the_defaults_in_the_file_are_those_of_the_schema() -> None:
    written = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    assert isinstance(written, dict)
    blocks = OmegaConf.to_container(OmegaConf.structured(Config), enum_to_str=True)
    assert isinstance(blocks, dict)
    written["tracking"] = OmegaConf.to_container(OmegaConf.load(CONF / "tracking" / "local.yaml"))
    for name in ("sampling", "sandbox", "tracking"):
        assert written[name] == blocks[name], f"conf/ and schema differ in {name}"


def test_no_group_is_forgotten() -> None:
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    # Hydra's sweeper and launchers, what chooses a launcher, and rubrics
    assert folders == {*GROUPS, "hydra", "cluster", "review"}
    assert not [path for path in CONF.rglob("*") if path.suffix not in (".yaml", "")]
    assert Path("config.yaml") in {path.relative_to(CONF) for path in CONF.glob("*.yaml")}


PAPER = sorted(path.stem for path in (CONF / "experiment" / "paper").glob("*.yaml"))


@pytest.mark.parametrize("name", PAPER)
def test_an_experiment_of_the_paper_is_a_whole_table(name: str) -> None:
    """Each is a sweep by itself, over the paper's prompts, of what its question compares."""
    config = compose("config", overrides=[f"experiment=paper/{name}"], return_hydra_config=True)
    params = {key: str(value).split(",") for key, value in config.hydra.sweeper.params.items()}
    assert config.hydra.mode is RunMode.MULTIRUN
    prompts = params.get("prompt", [config.prompt.name])
    assert set(prompts) <= {"paper_plain", "paper_cot"}
    if name.endswith("_quantizations"):
        assert config.model.name == name.removesuffix("_quantizations")
        levels = params["quantization"]
        assert [sum(each.startswith(f"q{bits}") for each in levels) for bits in (5, 4)] == [2, 2]
        assert min(BITS_PER_WEIGHT[level] for level in levels) < 4
    if name in ("models", "chatbots"):
        assert set(prompts) == {"paper_plain", "paper_cot"}
        assert config.dataset.name == "problems"


def test_no_comparison_of_the_paper_is_missing() -> None:
    quantized = [f"{model}_quantizations" for model in ("mistral", "dolphin", "openhermes")]
    assert sorted([*quantized, "models", "humaneval", "chatbots"]) == PAPER
