"""A model that is cut into parts is one model: read, fetched, quantized and loaded as one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import pytest
from hub_server import Hub, serving
from tiny_model import split, write_tiny_model

from experiments import weights
from experiments.errors import WeightsError
from experiments.schema import ModelConfig, QuantizationConfig
from experiments.weights import digests, fetching, header

F16 = QuantizationConfig("f16", "MOSTLY_F16")
Q8_0 = QuantizationConfig("q8_0", "MOSTLY_Q8_0")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("split") / "tiny.gguf"
    return write_tiny_model(path, layers=2, width=256, feed_forward=256)


@pytest.fixture
def parts(whole: Path, tmp_path: Path) -> list[Path]:
    copy = tmp_path / "tiny.gguf"
    copy.write_bytes(whole.read_bytes())
    paths = split(copy, 3)
    copy.unlink()
    return paths


def model(parts: Sequence[Path]) -> ModelConfig:
    return ModelConfig("tiny", file=str(parts[0]))


def test_parts_have_one_header(whole: Path, parts: list[Path]) -> None:
    one, of_parts = header.read(whole), header.read(parts[0])
    assert of_parts.parts == tuple(parts)
    assert [tensor.name for tensor in of_parts.tensors] == [tensor.name for tensor in one.tensors]
    assert (of_parts.parameters, of_parts.level) == (one.parameters, one.level)
    assert of_parts.bits_per_weight == one.bits_per_weight
    assert of_parts.file_bytes == sum(part.stat().st_size for part in parts)


def test_a_part_that_is_missing_is_told(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(WeightsError, match=r"first of 3 parts, and tiny-00002-of-00003\.gguf is"):
        header.read(parts[0])


def test_a_part_that_is_cut_is_told(parts: list[Path]) -> None:
    data = parts[2].read_bytes()
    parts[2].write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match=r"00003-of-00003\.gguf is incomplete"):
        header.read(parts[0])


def test_a_part_of_another_model_is_told(parts: list[Path], tmp_path: Path) -> None:
    other = split(write_tiny_model(tmp_path / "other.gguf"), 2)
    parts[1].write_bytes(other[1].read_bytes())
    with pytest.raises(WeightsError, match=r"has \d+ tensors in its 3 parts, and should have"):
        header.read(parts[0])


def test_a_later_part_and_a_part_that_was_renamed_are_told(parts: list[Path]) -> None:
    with pytest.raises(WeightsError, match=r"is part 2 of 3 of a model\. Name the first part"):
        header.read(parts[1])
    renamed = parts[0].rename(parts[0].with_name("model.gguf"))
    with pytest.raises(WeightsError, match=r"is part 1 of 3 .* keep the names of all"):
        header.read(renamed)


def test_the_digest_is_of_all_parts(parts: list[Path], tmp_path: Path) -> None:
    found = weights.locate(model(parts), F16, tmp_path / "models")
    each = "".join(f"{hashlib.sha256(part.read_bytes()).hexdigest()}\n" for part in parts)
    assert found.sha256 == hashlib.sha256(each.encode()).hexdigest()
    assert found.path == parts[0]
    data = bytearray(parts[2].read_bytes())
    data[-1] ^= 1
    parts[2].write_bytes(data)
    assert weights.locate(model(parts), F16, tmp_path / "other").sha256 != found.sha256


def test_a_level_is_made_from_parts(parts: list[Path], tmp_path: Path) -> None:
    made = weights.locate(model(parts), Q8_0, tmp_path / "models")
    found = header.read(made.path)
    assert (found.level, found.parts) == ("q8_0", (made.path,))
    assert found.parameters == header.read(parts[0]).parameters
    assert found.made_from == digests.of_parts(parts, tmp_path / "models")


def test_llama_cpp_loads_all_parts(parts: list[Path]) -> None:
    loaded = llama_cpp.Llama(str(parts[0]), n_ctx=64, verbose=False)
    try:
        assert loaded.create_completion([256, 1, 2], max_tokens=4)["usage"]["prompt_tokens"] == 3
    finally:
        loaded.close()


def test_all_parts_are_fetched(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_unreachable", {})
    files = {f"maker/tiny/F16/{part.name}": part.read_bytes() for part in parts}
    listed = ModelConfig("tiny", files={"f16": f"F16/{parts[0].name}"}, repository="maker/tiny")
    with serving(Hub(files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        found = weights.locate(listed, F16, tmp_path / "models")
        assert len(hub.downloads) == 3
        assert weights.locate(listed, F16, tmp_path / "models") == found
        assert len(hub.downloads) == 3
        (found.path.parent / parts[2].name).unlink()
        assert weights.locate(listed, F16, tmp_path / "models") == found  # the rest is fetched
        assert len(hub.downloads) == 4
    assert found.bytes == sum(part.stat().st_size for part in parts)
    assert sorted(path.name for path in found.path.parent.glob("*.gguf")) == [p.name for p in parts]
