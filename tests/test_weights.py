"""Where weights come from, in which order, and that results are labelled with what they are."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import gguf
import numpy
import pytest
from tiny_model import write_tiny_model

from experiments import weights
from experiments.errors import ConfigError, WeightsError
from experiments.schema import ModelConfig, PromptKind, QuantizationConfig
from experiments.weights import digests, header, quantizing

Q8_0 = QuantizationConfig("q8_0", "MOSTLY_Q8_0", 8.5)
Q4_0 = QuantizationConfig("q4_0", "MOSTLY_Q4_0", 4.67)
F16 = QuantizationConfig("f16", "MOSTLY_F16", 16.0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose rows fit every level: 256 wide."""
    path = tmp_path_factory.mktemp("tiny") / "tiny-f16.gguf"
    return write_tiny_model(path, layers=1, width=256, feed_forward=256)


@pytest.fixture(scope="module")
def tiny_q4(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, quantized and stripped of what says that it was made here."""
    folder = tmp_path_factory.mktemp("tiny_q4")
    path = folder / "tiny-q4_0.gguf"
    quantizing.quantize(header.read(tiny), "", path, "MOSTLY_Q4_0", 4.67)
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def model(**changes: object) -> ModelConfig:
    files = {"f16": "tiny-f16.gguf", "q4_0": "tiny-q4_0.gguf"}
    return ModelConfig(**{"name": "tiny", "files": files, **changes})  # type: ignore[arg-type]


def put(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(source, target))


def test_a_level_is_made_from_f16_on_first_use_and_kept(tiny: Path, models: Path) -> None:
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    made = weights.locate(model(), Q8_0, models)
    assert made.path == models / "tiny" / "tiny-q8_0.gguf"
    assert (made.quantization, made.model) == ("q8_0", "tiny")
    assert header.read(made.path).level == "q8_0"
    assert 8 < made.bits_per_weight < 9
    assert made.parameters == header.read(tiny).parameters
    before = made.path.stat().st_mtime_ns
    assert weights.locate(model(), Q8_0, models) == made
    assert made.path.stat().st_mtime_ns == before


def test_what_backends_need_is_taken_from_the_header(tiny: Path, models: Path) -> None:
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    found = weights.locate(model(), F16, models)
    assert (found.architecture, found.context_tokens, found.vocabulary) == ("llama", 2048, 300)
    assert (found.bos_token, found.eos_token) == ("<s>", "</s>")
    assert found.kv_values_per_token == 1 * 2 * (64 + 64)
    assert found.bytes == tiny.stat().st_size
    assert found.template_source == "gguf"


def test_the_template_of_the_config_replaces_that_of_the_file(tiny: Path, models: Path) -> None:
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    found = weights.locate(model(chat_template="{{ 1 }}"), F16, models)
    assert (found.chat_template, found.template_source) == ("{{ 1 }}", "config")


def test_a_file_without_template_is_no_chat_model_and_no_base_model_in_silence(
    tmp_path: Path, models: Path
) -> None:
    path = str(write_tiny_model(tmp_path / "base.gguf", template=None))
    with pytest.raises(WeightsError, match=r"no chat template.*model\.kind=completion.*chatml"):
        weights.locate(model(file=path), F16, models)
    base = weights.locate(model(file=path, kind=PromptKind.completion), F16, models)
    assert (base.chat_template, base.template_source) == (None, "none")
    named = weights.locate(model(file=path, chat_template="chatml"), F16, models)
    assert named.template_source == "config"


def test_a_mistake_in_the_template_is_told_before_anything_is_made(
    tiny: Path, tmp_path: Path, models: Path
) -> None:
    with pytest.raises(ConfigError, match="no chat template 'chatlm'"):
        weights.locate(model(file=str(tiny), chat_template="chatlm"), Q8_0, models)
    base = str(write_tiny_model(tmp_path / "base.gguf", template=None))
    with pytest.raises(WeightsError, match="no chat template"):
        weights.locate(model(file=base), Q8_0, models)
    assert not models.exists()


def test_a_chat_model_that_is_used_as_a_base_model_is_told(
    tiny: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights.locate(model(file=str(tiny), kind=PromptKind.completion), F16, models)
    assert "has a chat template, and model.kind=completion" in caplog.text


@pytest.mark.parametrize("place", ["tiny/tiny-q4_0.gguf", "tiny-q4_0.gguf"])
def test_a_file_put_by_hand_is_found(tiny_q4: Path, models: Path, place: str) -> None:
    path = put(tiny_q4, models / place)
    assert weights.locate(model(), Q4_0, models).path == path


def test_a_file_put_by_hand_comes_before_making_one(
    tiny: Path, tiny_q4: Path, models: Path
) -> None:
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    path = put(tiny_q4, models / "tiny" / "tiny-q4_0.gguf")
    before = path.stat().st_mtime_ns
    assert weights.locate(model(), Q4_0, models).path == path
    assert path.stat().st_mtime_ns == before


def test_a_level_made_from_an_older_source_is_made_again(
    tiny: Path, models: Path, tmp_path: Path
) -> None:
    source = put(tiny, models / "tiny" / "tiny-f16.gguf")
    old = weights.locate(model(), Q8_0, models)
    put(write_tiny_model(tmp_path / "n.gguf", layers=1, width=256, seed=1), source)
    new = weights.locate(model(), Q8_0, models)
    assert new.path == old.path
    assert new.sha256 != old.sha256
    assert header.read(new.path).made_from == digests.sha256(source, models)


def test_a_name_that_lies_about_its_content_is_refused(tiny: Path, models: Path) -> None:
    put(tiny, models / "tiny" / "tiny-q4_0.gguf")
    with pytest.raises(WeightsError, match=r"tiny-q4_0\.gguf should hold q4_0 and holds f16"):
        weights.locate(model(), Q4_0, models)


def test_a_source_that_is_no_f16_is_refused(tiny_q4: Path, models: Path) -> None:
    put(tiny_q4, models / "tiny" / "tiny-f16.gguf")
    with pytest.raises(WeightsError, match="should hold f16 and holds q4_0"):
        weights.locate(model(), Q8_0, models)


def test_a_named_file_is_quantized_to_what_was_asked_for(tiny: Path, models: Path) -> None:
    made = weights.locate(model(name="local", files={}, file=str(tiny)), Q4_0, models)
    assert made.quantization == header.read(made.path).level == "q4_0"
    assert made.path.parent == models / "local"
    assert made.path.name.startswith("tiny-f16-")
    assert not list(tiny.parent.glob("*q4_0*"))


def test_a_named_file_that_is_quantized_is_labelled_with_its_own_level(
    tiny_q4: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = weights.locate(model(file=str(tiny_q4)), Q8_0, models)
    assert (found.path, found.quantization) == (tiny_q4, "q4_0")
    assert "is already quantized, to q4_0" in caplog.text
    assert "quantization=q8_0 has no effect" in caplog.text


def test_a_named_file_of_the_level_asked_for_is_taken_in_silence(
    tiny_q4: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert weights.locate(model(file=str(tiny_q4)), Q4_0, models).path == tiny_q4
    assert not caplog.records


def test_missing_weights_are_told_with_where_they_come_from_and_go(models: Path) -> None:
    hub = model(repository="maker/tiny-GGUF", revision="v2", files={"q4_0": "tiny.Q4_0.gguf"})
    with pytest.raises(WeightsError) as caught:
        weights.locate(hub, Q4_0, models)
    message = str(caught.value)
    assert f"{models}/tiny/tiny.Q4_0.gguf is missing" in message
    assert "not fetched from maker/tiny-GGUF" in message
    assert "https://huggingface.co/maker/tiny-GGUF/resolve/v2/tiny.Q4_0.gguf" in message
    assert "\n" not in message


def test_a_level_that_the_repository_lacks_is_told_with_those_it_has(models: Path) -> None:
    hub = model(repository="maker/tiny-GGUF", files={"q4_0": "a.gguf", "q8_0": "b.gguf"})
    with pytest.raises(WeightsError, match=r"no file of tiny at f16\. It has: q4_0, q8_0"):
        weights.locate(hub, F16, models)


def test_a_model_without_files_asks_for_one(models: Path) -> None:
    with pytest.raises(WeightsError, match=r"model=local model\.file=PATH"):
        weights.locate(model(name="local", files={}), Q8_0, models)


def test_a_level_that_llama_cpp_lacks_is_told_before_any_file_is_opened(models: Path) -> None:
    wrong = QuantizationConfig("q4", "MOSTLY_Q4_K_N", 4.0)
    with pytest.raises(ConfigError, match=r"MOSTLY_Q4_K_N.*Did you mean 'MOSTLY_Q4_K_"):
        weights.locate(model(), wrong, models)


def test_a_model_name_cannot_lead_out_of_the_folder(models: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.name is '\.\./x'"):
        weights.locate(model(name="../x"), Q8_0, models)


def test_damaged_weights_are_told_and_not_replaced(tiny: Path, models: Path) -> None:
    path = put(tiny, models / "tiny" / "tiny-f16.gguf")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(WeightsError, match="is incomplete: it has"):
        weights.locate(model(), F16, models)
    with pytest.raises(WeightsError, match="is incomplete: it has"):
        weights.locate(model(), Q8_0, models)
    assert path.exists()


def test_a_full_disk_is_told_before_quantizing(
    tiny: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    usage = shutil.disk_usage(models)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(WeightsError, match=r"needs about .* and the disk has 1000 bytes left"):
        weights.locate(model(), Q8_0, models)
    assert not (models / "tiny" / "tiny-q8_0.gguf").exists()


def test_a_folder_that_cannot_be_written_is_told(tiny: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "models"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(WeightsError, match=r"cannot be written: Not a directory.*Set models to"):
        weights.locate(model(name="local", files={}, file=str(tiny)), Q8_0, blocked)


def test_a_quantizer_that_fails_is_told_and_leaves_nothing(models: Path) -> None:
    """A complete GGUF that is no model: llama.cpp refuses it in its own words."""
    home = models / "tiny"
    home.mkdir(parents=True)
    writer = gguf.GGUFWriter(home / "tiny-f16.gguf", "no_such_architecture")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tensor("x", numpy.ones((4, 256), numpy.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    base = model(kind=PromptKind.completion)
    with pytest.raises(WeightsError, match=r"could not quantize .*no_such_architecture"):
        weights.locate(base, Q8_0, models)
    assert not [path for path in home.iterdir() if "q8_0" in path.name and path.suffix != ".lock"]


def test_a_killed_run_leaves_no_file_that_looks_finished(tiny: Path, models: Path) -> None:
    """The quantizer is stopped half-way, its starter killed; the next run makes the file."""
    source = put(tiny, models / "tiny" / "tiny-f16.gguf")
    target = models / "tiny" / "tiny-q8_0.gguf"
    program = (
        "import sys, subprocess, time\n"
        "from pathlib import Path\n"
        "from experiments.weights import header, quantizing\n"
        "def start(command, **options):\n"
        "    part = next(each for each in command if each.endswith('.part'))\n"
        "    Path(part).write_bytes(b'GGUF half a file')\n"
        "    print('started', flush=True)\n"
        "    time.sleep(60)\n"
        "subprocess.Popen = start\n"
        "source = header.read(Path(sys.argv[1]))\n"
        "quantizing.quantize(source, 'x', Path(sys.argv[2]), 'MOSTLY_Q8_0', 8.5)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program, str(source), str(target)], stdout=subprocess.PIPE
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"started\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert list(target.parent.glob("*.part")) or list(target.parent.glob(".*.part"))
    assert not target.exists()
    assert weights.locate(model(), Q8_0, models).quantization == "q8_0"
    assert not list(target.parent.glob(".*.part"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_quantization_ends_and_leaves_nothing(
    how: signal.Signals, models: Path
) -> None:
    home = models / "tiny"
    home.mkdir(parents=True)
    write_tiny_model(home / "tiny-f16.gguf", layers=6, width=768, feed_forward=3072)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from experiments import weights\n"
        "from experiments.schema import ModelConfig, QuantizationConfig\n"
        "model = ModelConfig(name='tiny', files={'f16': 'tiny-f16.gguf'})\n"
        "level = QuantizationConfig('iq4_nl', 'MOSTLY_IQ4_NL', 4.68)\n"  # takes its time
        "weights.locate(model, level, Path(sys.argv[1]))\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program, str(models)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(home.glob(".*.part")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(how)
    assert run.wait(30) != 0
    while list(home.glob(".*.part")):
        assert time.monotonic() < deadline, "the quantizer goes on without its starter"
        time.sleep(0.05)
    assert {path.suffix for path in home.iterdir()} == {".gguf", ".lock"}
    assert not (home / "tiny-iq4_nl.gguf").exists()


@pytest.mark.parametrize(
    ("locks", "made"), [("", {1}), ("lock.HOST, files.fcntl.flock = sys.argv[2], print", {1, 2, 3})]
)
def test_runs_that_want_one_file_make_it_once_or_apart_where_locks_do_nothing(
    tiny: Path, models: Path, locks: str, made: set[int]
) -> None:
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    program = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from experiments import weights\n"
        "from experiments.schema import ModelConfig, PromptKind, QuantizationConfig\n"
        "from experiments.store import files, lock\n"
        f"{locks}\n"
        "logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout)\n"
        "model = ModelConfig(name='tiny', files={'f16': 'tiny-f16.gguf'})\n"
        "level = QuantizationConfig('q8_0', 'MOSTLY_Q8_0', 8.5)\n"
        "print(weights.locate(model, level, Path(sys.argv[1])).sha256)\n"
    )
    command = [sys.executable, "-c", program, str(models)]
    runs = [
        subprocess.Popen([*command, f"host{n}"], stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    told = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert sum("Quantizing" in text for text in told) in made
    assert not list((models / "tiny").glob(".*.part"))
    assert len({text.splitlines()[-1] for text in told}) == 1


def test_a_digest_is_computed_once(tiny: Path, tmp_path: Path) -> None:
    first = digests.sha256(tiny, tmp_path)
    kept = next((tmp_path / ".digests").iterdir())
    kept.write_text(kept.read_text().replace(first, "0" * 64))
    assert digests.sha256(tiny, tmp_path) == "0" * 64


def test_a_changed_file_has_a_new_digest(tiny: Path, tmp_path: Path) -> None:
    path = put(tiny, tmp_path / "m.gguf")
    before = digests.sha256(path, tmp_path)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55")
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns + 1))
    assert digests.sha256(path, tmp_path) != before


def test_digests_are_computed_where_none_can_be_kept(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / ".digests").write_text("a file in the way")
    assert len(digests.sha256(tiny, tmp_path)) == 64


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"file": 1, "sha256": "x"}'])
def test_a_damaged_digest_is_computed_again(tiny: Path, tmp_path: Path, kept: str) -> None:
    right = digests.sha256(tiny, tmp_path)
    next((tmp_path / ".digests").iterdir()).write_text(kept)
    assert digests.sha256(tiny, tmp_path) == right


def test_every_header_is_read_once_and_nothing_is_written_to_decide(
    tiny: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    read: list[str] = []
    original = header.read_part

    def counted(path: Path) -> header.Header:
        read.append(path.name.removeprefix("."))
        return original(path)

    monkeypatch.setattr(header, "read_part", counted)
    decision = weights.decide(model(), Q8_0, models)
    assert isinstance(decision, weights.Make)
    assert isinstance(decision.source, weights.Here)
    assert decision.path == models / "tiny" / "tiny-q8_0.gguf"
    assert [path.name for path in (models / "tiny").iterdir()] == ["tiny-f16.gguf"]
    assert read == ["tiny-f16.gguf"]
    read.clear()
    weights.locate(model(), Q8_0, models)
    assert [name.split(".gguf")[0] for name in read] == ["tiny-f16", "tiny-q8_0"]
    read.clear()
    weights.locate(model(), Q8_0, models)
    assert read == ["tiny-f16.gguf", "tiny-q8_0.gguf"]


def test_what_would_be_fetched_is_decided_without_a_network(models: Path) -> None:
    listed = model(repository="maker/tiny-GGUF", revision="v2", files={"q8_0": "sub/tiny.Q8.gguf"})
    fetched = weights.decide(listed, Q8_0, models)
    origin = weights.Origin("maker/tiny-GGUF", "v2", "sub/tiny.Q8.gguf")
    assert fetched == weights.Fetch(origin, models / "tiny" / "tiny.Q8.gguf", "q8_0")
    made = weights.decide(listed, Q4_0, models)
    assert isinstance(made, weights.Make)
    assert (made.source, made.path.name) == (fetched, "tiny-q4_0.gguf")
    assert "is quantized already" in made.warnings[0]
    assert not models.exists()


@pytest.mark.parametrize("level", ["iq2_xxs", "iq2_m", "iq3_xs", "iq1_s", "q2_k_s"])
def test_a_level_that_needs_a_matrix_is_told_before_anything_is_fetched(
    tiny: Path, models: Path, level: str
) -> None:
    hub = model(repository="maker/tiny-GGUF", files={"f16": "tiny-f16.gguf"})
    wanted = QuantizationConfig(level, f"MOSTLY_{level.upper()}")
    with pytest.raises(WeightsError, match=rf"{level} cannot be made here.*importance matrix"):
        weights.locate(hub, wanted, models)
    listed = model(repository="maker/tiny-GGUF", files={level: "a.gguf"})
    put(tiny, models / "tiny" / "tiny-f16.gguf")  # every other level would be made from it
    assert isinstance(weights.decide(listed, wanted, models), weights.Fetch)


def test_levels_for_models_of_few_values_are_warned_of_before_they_are_made(
    tiny: Path, tmp_path: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ternary = QuantizationConfig("tq2_0", "MOSTLY_TQ2_0")
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    (warning,) = weights.decide(model(), ternary, models).warnings
    assert "tq2_0 keeps three values per weight" in warning
    assert "nothing says that tiny is one" in warning
    weights.locate(model(), ternary, models)
    caplog.clear()
    weights.locate(model(), ternary, models)  # it is here now, and still noise
    assert caplog.messages == [warning]
    bitnet = put(tiny, tmp_path / "bitnet-b1.58-f16.gguf")
    assert weights.decide(model(file=str(bitnet)), ternary, models).warnings == ()


def test_mxfp4_is_not_made_of_a_model_without_experts(tiny: Path, models: Path) -> None:
    put(tiny, models / "tiny" / "tiny-f16.gguf")
    mxfp4 = QuantizationConfig("mxfp4", "MOSTLY_MXFP4_MOE")
    with pytest.raises(WeightsError, match=r"cannot be made here: it is for models that were"):
        weights.locate(model(), mxfp4, models)
