"""The models of the configuration, and what `experiments models` does with them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from hub_server import Hub, serving
from tiny_model import write_tiny_model

from experiments import cli
from experiments.cli import models
from experiments.errors import WeightsError
from experiments.schema import ModelConfig
from experiments.weights import fetching, header, levels, locate, memory, templates
from experiments.weights.deciding import level_of
from experiments.weights.quantizing import quantize

CONF = ROOT / "conf"
MODELS = models.models(CONF)
LEVELS = models.quantizations(CONF)
LEADERBOARD = ROOT.parent / "shared" / "reference" / "evalplus_leaderboard.json"
ROWS = {
    "mistral": "Mistral-7B-Instruct-v0.2",
    "mistral_base": "Mistral-7B",
    "zephyr": "Zephyr β-7B",
    "llama3_1": "Llama3.1-8B-instruct",
    "deepseek_coder_1_3b": "DeepSeek-Coder-1.3B-instruct",
    "deepseek_coder_6_7b": "DeepSeek-Coder-6.7B-instruct",
    "phi2": "phi-2-2.7B",
    "phi3_mini": "Phi-3-mini-4k-instruct",
    "gpt_3_5": "GPT-3.5-Turbo (Nov 2023)",
    "gpt_4": "GPT-4 (May 2023)",
    "gpt_4o": "GPT 4o (Aug 2024)",
    "gemini_1_5_pro": "Gemini 1.5 Pro 002",
    "starcoder2_3b": "StarCoder2-3B",
    "starcoder2_7b": "StarCoder2-7B",
}
"""Rows whose figures are the leaderboard's; the others cite their makers."""

WITHOUT_F16 = (
    "mistral_base",
    "llama2_13b",
    "codellama",
    "deepseek_coder_1_3b",
    "deepseek_coder_6_7b",
    "deepseek_coder_v2_lite",
    "gemma3_12b",
    "gemma4_e4b",
    "gpt_oss_20b",
    "lfm2_2_6b",
    "lfm2_8b_a1b",
    "nemotron3_nano_4b",
    "qwen3_30b_a3b",
    "qwen3_30b_a3b_2507",
    "qwen3_4b_thinking_2507",
    "qwen3_5_35b_a3b",
    "qwen3_coder_30b_a3b",
    "starcoder2_3b",
    "starcoder2_7b",
)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_called_like_its_file_and_says_where_it_comes_from(name: str) -> None:
    model = MODELS[name]
    assert model.name == name
    if name in ("local", "api"):
        return
    assert model.licence
    assert model.card
    assert model.kind is not None
    if model.api.model:
        assert model.api.base_url
        assert not model.files
        return
    assert model.files
    assert set(model.files) <= set(LEVELS)
    assert len(set(model.files.values())) == len(model.files)
    assert all(file.endswith(".gguf") and "-of-" not in file for file in model.files.values())
    assert model.parameters_billion
    assert model.context_tokens
    active = model.active_parameters_billion
    assert active is None or active < model.parameters_billion
    if model.chat_template:
        assert model.chat_template in templates.TEMPLATES
        assert model.kind.value == "chat"


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_is_one_of_llama_cpps(name: str) -> None:
    import llama_cpp

    level = LEVELS[name]
    assert level.name == name
    assert hasattr(llama_cpp, f"LLAMA_FTYPE_{level.ftype}")
    assert level_of(level) in levels.LEVELS.values()


def test_published_figures_are_those_of_the_leaderboard() -> None:
    if not LEADERBOARD.exists():
        pytest.skip("evalplus_leaderboard.json is not at hand")
    rows = {r["model"]: r["pass_at_1_percent"] for r in json.loads(LEADERBOARD.read_text())["rows"]}
    cited = {
        name
        for name, model in MODELS.items()
        if "EvalPlus leaderboard" in model.published.get("source", "")
    }
    assert cited == set(ROWS)
    for name, row in ROWS.items():
        figures = dict(MODELS[name].published)
        del figures["source"]
        theirs = {key.replace("+", "_plus"): value for key, value in rows[row].items()}
        assert figures == {key: value for key, value in theirs.items() if value is not None}


def test_all_models_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.results, "width", 140)
    assert cli.main(["models", "--models", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert [name for name in MODELS if name not in said] == []
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line}
    assert lines["mistral"][:7] == ["mistral", "7.24", "32k", "3.4", "5.0", "8.2", "15.0"]
    assert lines["mistral"][-1] == "Apache-2.0"


def test_the_list_of_models_has_one_line_each_in_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.results, "width", 80)
    assert cli.main(["models", "--models", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert max(map(len, said)) <= 80
    local = [name for name, model in MODELS.items() if model.files]
    assert [line.split()[0] for line in said[1 : len(local) + 1]] == local


def test_a_mixture_of_experts_says_how_much_is_read_for_each_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moe = ModelConfig("moe", files={"q8_0": "moe.gguf"}, repository="a/b")
    moe.parameters_billion, moe.active_parameters_billion = 20.9, 3.6
    monkeypatch.setattr(models, "models", lambda _: {"moe": moe})
    assert cli.main(["models", "--models", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["moe", "20.9", "3.6"]
    assert cli.main(["models", "moe", "--models", str(tmp_path)]) == 0
    assert "20.9 billion weights, of which 3.6 are read for" in capsys.readouterr().out


def test_one_model_is_shown_at_every_level(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mistral" / "mistral-7b-instruct-v0.2.Q4_0.gguf"
    quantize(header.read(tiny / "tiny" / "tiny-f16.gguf"), "", file, "MOSTLY_Q4_0", 4.67)
    assert cli.main(["models", "mistral", "--models", str(tmp_path)]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert set(LEVELS) <= set(lines)
    assert lines["q4_0"][1:3] == [f"{file.stat().st_size / 1e3:.1f}", "kB"]
    assert "here" in lines["q4_0"]
    assert "hub" in lines["q8_0"]
    assert lines["f16"][-2:] == ["hub", "mistral-7b-instruct-v0.2-f16.gguf"]
    assert lines["iq4_nl"][-3:] == ["made", "of", "f16"]


def test_a_damaged_file_is_told_and_the_others_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mistral" / "mistral-7b-instruct-v0.2.Q4_0.gguf"
    file.parent.mkdir()
    file.write_bytes(b"half a file")
    assert cli.main(["models", "mistral", "--models", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line}
    assert "nowhere" in lines["q4_0"]
    assert "hub" in lines["q8_0"]
    assert said.count("is no GGUF") == 1


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.files])
def test_every_level_can_be_had_from_the_name_alone(name: str, tmp_path: Path) -> None:
    """Or is known to be nowhere: what is not quantized cannot be made from what is."""
    found = models.levels(MODELS[name], LEVELS, tmp_path)
    without = {level.name for level in found if level.decision is None}
    without -= set(levels.NEED_MATRIX)
    if name == "demo":
        return  # its f16 is in this repository, not on the hub
    assert without <= {"f16", "bf16"}
    assert not without or name in WITHOUT_F16


def test_memory_is_the_file_and_one_sequence(tmp_path: Path) -> None:
    model = MODELS["llama2"]
    (level,) = models.levels(model, {"q4_0": LEVELS["q4_0"]}, tmp_path)
    assert level.bytes == pytest.approx(6.74e9 * 4.67 / 8)
    assert level.memory_bytes == level.bytes + 2 * 4096 * 32 * 32 * 2 * 128


def test_what_is_said_of_the_demo_model_is_what_its_file_says() -> None:
    model, found = MODELS["demo"], header.read(ROOT / "models" / "demo" / "demo-f16.gguf")
    assert model.kv_values_per_token == memory.kv_values_per_token(found)
    assert model.parameters_billion == pytest.approx(found.parameters / 1e9, rel=0.1)
    assert model.context_tokens == found.of_architecture("context_length")


def test_what_can_be_made_from_an_f16_is_said(tiny: Path) -> None:
    model = ModelConfig("tiny", files={"f16": "tiny-f16.gguf"})
    fresh = {name: level for name, level in LEVELS.items() if name in ("f16", "bf16", "q5_0")}
    found = {one.name: one.source for one in models.levels(model, fresh, tiny)}
    assert found == {"f16": "here", "bf16": "made of f16", "q5_0": "made of f16"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny").mkdir()
    write_tiny_model(folder / "tiny" / "tiny-f16.gguf", layers=1, width=256, feed_forward=256)
    return folder


@pytest.mark.parametrize("name", sorted(set(LEVELS) - {"mxfp4", *levels.NEED_MATRIX}))
def test_every_level_is_made_from_an_f16(name: str, tiny: Path) -> None:
    model = ModelConfig("tiny", files={"f16": "tiny-f16.gguf"})
    made = locate(model, LEVELS[name], tiny)
    assert made.quantization == header.read(made.path).level == name


def test_a_level_is_made_from_q8_0_with_a_warning_where_nothing_better_is_here(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "tiny" / "tiny-q8_0.gguf"
    source.parent.mkdir()
    quantize(header.read(tiny / "tiny" / "tiny-f16.gguf"), "", source, "MOSTLY_Q8_0", 8.5)
    model = ModelConfig("tiny", files={"f16": "tiny-f16.gguf"})
    made = locate(model, LEVELS["q4_0"], tmp_path)
    assert made.quantization == "q4_0"
    assert "is quantized already" in caplog.text
    with pytest.raises(WeightsError, match="is missing"):
        locate(model, LEVELS["f16"], tmp_path)  # what is lost does not come back


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(fetching, "_unreachable", {})
    content = write_tiny_model(tmp_path / "tiny.gguf", width=256, feed_forward=256).read_bytes()
    model = MODELS["phi3_mini"]
    with serving(Hub({f"{model.repository}/{model.files['f16']}": content})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def test_weights_are_fetched_and_made_ahead(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models"
    command = ["models", "fetch", "phi3_mini", "quantization=f16,q8_0", "--models", str(folder)]
    assert cli.main(command) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(str(folder / "phi3_mini" / "Phi-3-mini-4k-instruct-fp16.gguf"))
    assert second.startswith(str(folder / "phi3_mini" / "phi3_mini-q8_0.gguf"))
    assert "bits per weight" in second
    assert len(hub.downloads) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mistrall"], "There is no model 'mistrall'. Did you mean 'mistral'?"),
        (["fetch", "mistral"], "experiments models fetch mistral quantization=q4_k_m"),
        (["fetch", "mistral", "quantization=q4km"], "Did you mean 'q4_k_m'?"),
        (["fetch", "mistral", "q4_k_m"], "'q4_k_m' is not understood"),
        (["fetch"], "is not understood"),
        (["fetch", "gpt_4o", "quantization=q4_0"], "it runs on a server. Add backend=openai."),
    ],
)
def test_mistakes_are_told(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models", *words, "--models", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
