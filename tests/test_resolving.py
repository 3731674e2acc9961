"""What a run takes from the model's file where its question says nothing."""

from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from omegaconf import OmegaConf

from experiments.errors import ConfigError
from experiments.experiment import resolving
from experiments.schema import Config, Mode, ModelConfig, Sampling, SamplingConfig, ThinkingConfig

QWEN = ModelConfig(
    name="thinker",
    sampling={"temperature": 0.7, "top_p": 0.8},
    template_arguments={"tools": []},
    thinking=ThinkingConfig(
        modes=["on", "off"],
        default="on",
        argument="enable_thinking",
        switch={"off": "/no_think"},
        sampling={"temperature": 0.6, "max_tokens": 32768},
    ),
)


def config(model: ModelConfig = QWEN, **changes: Any) -> Config:
    return Config(model=model, **changes)


def test_a_question_goes_before_the_makers_and_these_before_the_default() -> None:
    plain = ModelConfig(name="plain", sampling={"temperature": 0.3})
    asked = SamplingConfig(top_k=5)
    assert resolving.sampling(config(plain, sampling=asked)) == Sampling(temperature=0.3, top_k=5)
    greedy = SamplingConfig(temperature=0.0)
    assert resolving.sampling(config(plain, sampling=greedy)) == Sampling()
    assert resolving.sampling(config(ModelConfig(name="m"))) == Sampling()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (None, Sampling(temperature=0.6, top_p=0.8, max_tokens=32768)),  # on by default
        (Mode.on, Sampling(temperature=0.6, top_p=0.8, max_tokens=32768)),
        (Mode.off, Sampling(temperature=0.7, top_p=0.8)),
    ],
)
def test_a_model_has_a_sampling_of_its_own_while_it_thinks(
    mode: Mode | None, expected: Sampling
) -> None:
    assert resolving.sampling(config(thinking=mode)) == expected


def test_what_the_makers_ask_for_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    resolving.sampling(config(thinking=Mode.off, sampling=SamplingConfig(top_p=0.5)))
    assert "as the file of thinker in conf/model/ has it: temperature 0.7." in caplog.text


def test_greedy_decoding_of_a_model_that_thinks_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    greedy = SamplingConfig(temperature=0.0)
    resolving.sampling(config(thinking=Mode.off, sampling=greedy))
    assert caplog.text == ""
    resolving.sampling(config(sampling=greedy))
    assert "greedy decoding" in caplog.text


def test_the_template_is_told_as_it_wants_to_be() -> None:
    on, off = (resolving.thinking(config(thinking=mode)) for mode in (Mode.on, Mode.off))
    assert on.arguments == {"tools": [], "enable_thinking": True}
    assert (on.mode, on.switch) == ("on", "")
    assert off.arguments == {"tools": [], "enable_thinking": False}
    assert off.switch == "/no_think"
    assert resolving.thinking(config()) == on  # its default, said all the same
    plain = resolving.thinking(config(ModelConfig(name="m"), thinking_budget=100))
    assert (plain.arguments, plain.mode, plain.budget) == ({}, "", 100)
    levels = ThinkingConfig(modes=["low", "high"], argument="reasoning_effort")
    oss = resolving.thinking(config(ModelConfig(name="m", thinking=levels), thinking=Mode.low))
    assert oss.arguments == {"reasoning_effort": "low"}


def test_a_thought_has_room_where_nobody_says_how_long_it_is() -> None:
    always = ModelConfig(name="m", thinking=ThinkingConfig(default="on"))
    assert resolving.sampling(config(always)).max_tokens == 16_384
    short = SamplingConfig(max_tokens=100)
    assert resolving.sampling(config(always, sampling=short)).max_tokens == 100
    assert resolving.sampling(config(ModelConfig(name="m"))).max_tokens == 1024


ROWS = sorted((ROOT / "conf" / "model").glob("*.yaml"))


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_every_row_can_be_asked_for_what_it_says(path: Path) -> None:
    row = OmegaConf.merge(OmegaConf.structured(ModelConfig), OmegaConf.load(path))
    model: Any = OmegaConf.to_object(row)
    known = model.thinking
    assert bool(known.modes) == bool(known.argument or known.switch)
    assert known.default in ("", "on", *known.modes)
    assert set(known.switch) <= set(known.modes)
    for mode in (None, *map(Mode, known.modes)):
        asked = config(model, thinking=mode)
        assert resolving.thinking(asked).mode == (mode.value if mode else known.default)
        assert resolving.sampling(asked).max_tokens >= 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (QWEN, r"'thinker' cannot be asked for thinking=low\. It takes thinking=on,off"),
        (ModelConfig(name="demo"), r"'demo' cannot be asked for thinking=low\. Leave thinking out"),
    ],
)
def test_what_a_model_lacks_cannot_be_asked_for(model: ModelConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolving.thinking(config(model, thinking=Mode.low))


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"temprature": 1}, r"no setting 'model\.sampling\.temprature'\. Did you mean 'temperat"),
        ({"top_p": 2.0}, r"model\.sampling\.top_p=2\.0 is out of range"),
    ],
)
def test_a_mistake_in_a_row_is_told(sampling: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolving.sampling(config(ModelConfig(name="m", sampling=sampling)))
