"""The reader of GGUF headers: what it finds, and what it says of anything else."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import llama_cpp
import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.errors import WeightsError
from experiments.schema import BITS_PER_WEIGHT
from experiments.weights import header, levels, memory

WORDS = [f"word{number}" for number in range(1100)]


def write_gguf(path: Path, extra: Callable[[gguf.GGUFWriter], None] = lambda writer: None) -> Path:
    """Write a small file with another program's writer."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("small")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(77)
    writer.add_rope_freq_base(0.5)
    writer.add_token_list(WORDS)
    writer.add_eos_token_id(1099)
    writer.add_array("some.numbers", list(range(5000)))
    writer.add_array("llama.attention.head_count_kv", [4, 8, 4])
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ messages }} ü")
    extra(writer)
    blocks = gguf.quantize(numpy.ones((4, 64), numpy.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("a", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("b", numpy.ones(10, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "valid.gguf").read_bytes()


@pytest.fixture
def file(tmp_path: Path, valid: bytes) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(valid)
    return path


def error_of(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        header.read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_metadata_and_tensors_are_read(file: Path) -> None:
    found = header.read(file)
    assert (found.version, found.architecture, found.level) == (3, "llama", "q8_0")
    assert found.of_architecture("context_length") == 77
    assert found.metadata["llama.rope.freq_base"] == 0.5
    assert found.metadata["tokenizer.ggml.add_bos_token"] is False
    assert found.text("tokenizer.chat_template") == "{{ messages }} ü"
    assert [(tensor.name, tensor.shape) for tensor in found.tensors] == [
        ("a", (64, 4)),
        ("b", (10,)),
    ]
    assert found.parameters == 64 * 4 + 10
    assert found.bits_per_weight == pytest.approx(8 * (8 * 34 + 40) / 266)


def test_the_reader_agrees_with_the_gguf_package(file: Path) -> None:
    found = header.read(file)
    other = gguf.GGUFReader(file)
    assert [tensor.bytes for tensor in found.tensors] == [t.n_bytes for t in other.tensors]
    starts = [found.data_start + tensor.offset for tensor in found.tensors]
    assert starts == [tensor.data_offset for tensor in other.tensors]
    assert set(found.metadata) == {key for key in other.fields if not key.startswith("GGUF.")}


@pytest.mark.parametrize("kind", list(gguf.GGMLQuantizationType))
def test_sizes_of_tensor_types_are_those_of_the_gguf_package(
    kind: gguf.GGMLQuantizationType,
) -> None:
    if kind in levels.TENSOR_TYPES:
        assert levels.TENSOR_TYPES[kind][1:] == gguf.GGML_QUANT_SIZES[kind]


def test_levels_are_those_of_llama_cpp() -> None:
    prefix = "LLAMA_FTYPE_"
    known = {getattr(llama_cpp, name): name for name in dir(llama_cpp) if name.startswith(prefix)}
    del known[levels.GUESSED]
    names = {number: name.removeprefix(prefix).split("_", 1)[1] for number, name in known.items()}
    assert {number: name.lower() for number, name in names.items()} == levels.LEVELS
    assert set(BITS_PER_WEIGHT) == set(levels.LEVELS.values())


def test_long_lists_are_stepped_over_and_tokens_are_found(file: Path) -> None:
    found = header.read(file)
    assert found.metadata["some.numbers"] == header.Skipped(5000)
    assert found.token("tokenizer.ggml.eos_token_id") == "word1099"
    assert found.token("tokenizer.ggml.bos_token_id") == ""


def test_a_token_beyond_the_list_is_no_token(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", lambda writer: writer.add_bos_token_id(1100))
    assert header.read(path).token("tokenizer.ggml.bos_token_id") == ""


def test_a_value_for_each_layer_is_its_largest(file: Path) -> None:
    assert header.read(file).of_architecture("attention.head_count_kv") == 8


def test_a_file_that_declares_no_level_is_named_after_most_of_its_weights(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("large", numpy.ones((8, 32), numpy.float16))
    writer.add_tensor("small", numpy.ones(9, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert header.read(tmp_path / "m.gguf").level == "f16"


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "empty.gguf"
    path.touch()
    assert error_of(path) == f"{path} is empty. {header.FETCH_AGAIN}"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    message = error_of(tmp_path / "none.gguf")
    assert "cannot be read: No such file or directory" in message
    assert "model.file" in message


def test_a_folder_is_told(tmp_path: Path) -> None:
    assert "Is a directory" in error_of(tmp_path)


@pytest.mark.parametrize("start", [b"<!DOCTYPE html><html>", b"\n <html lang=en>", b"<?xml "])
def test_a_web_page_is_told(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "page.gguf"
    path.write_bytes(start + b" " * 100)
    message = error_of(path)
    assert "is no GGUF but a web page" in message
    assert f"({len(start) + 100} bytes)" in message


def test_a_git_lfs_pointer_is_told_with_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pointer.gguf"
    path.write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:"
        + b"0" * 64
        + b"\nsize 4368439584\n"
    )
    message = error_of(path)
    assert "pointer of git-lfs" in message
    assert "4.4 GB (4368439584 bytes)" in message
    assert "git lfs pull" in message


def test_a_format_before_gguf_is_told(tmp_path: Path) -> None:
    path = tmp_path / "old.bin"
    path.write_bytes(b"tjgg" + bytes(100))
    assert "older than GGUF" in error_of(path)


def test_something_else_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    assert "is no GGUF: it begins with b'PK\\x03\\x04'" in error_of(path)


@pytest.mark.parametrize(("version", "told"), [(1, "GGUF version 1"), (4, "GGUF version 4")])
def test_a_version_that_is_not_supported_is_told(file: Path, version: int, told: str) -> None:
    data = bytearray(file.read_bytes())
    data[4:8] = version.to_bytes(4, "little")
    file.write_bytes(data)
    assert told in error_of(file)


def test_a_big_endian_file_is_told(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4:8] = (3).to_bytes(4, "big")
    file.write_bytes(data)
    assert "big-endian" in error_of(file)


def test_a_part_of_a_split_model_is_told(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "part.gguf", lambda writer: writer.add_uint16("split.count", 3))
    assert "is part 1 of 3 of a model" in error_of(path)


def test_a_cut_file_names_its_size_and_the_size_it_should_have(file: Path, valid: bytes) -> None:
    whole = header.read(file)
    end = whole.data_start + max(tensor.offset + tensor.bytes for tensor in whole.tensors)
    file.write_bytes(valid[: end - 1])
    assert f"it has {end - 1} bytes and should have {end} bytes" in error_of(file).replace(
        header.human_bytes(end - 1), f"{end - 1} bytes"
    ).replace(header.human_bytes(end), f"{end} bytes")
    file.write_bytes(valid[:end])
    assert header.read(file).tensors == whole.tensors


def test_no_cut_passes_unnoticed(file: Path, valid: bytes) -> None:
    whole = header.read(file)
    end = whole.data_start + max(tensor.offset + tensor.bytes for tensor in whole.tensors)
    for length in range(0, end, 131):
        file.write_bytes(valid[:length])
        error_of(file)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=12))
def test_damage_never_raises_anything_but_a_weights_error(
    valid: bytes, tmp_path: Path, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(valid)
    for place, value in damage:
        data[place % len(data)] = value
    _reads_or_tells(tmp_path / "damaged.gguf", bytes(data))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200), st.sampled_from([b"", b"GGUF", b"GGUF\3\0\0\0"]))
def test_bytes_never_raise_anything_but_a_weights_error(
    tmp_path: Path, data: bytes, start: bytes
) -> None:
    _reads_or_tells(tmp_path / "bytes.gguf", start + data)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**16),
    st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1]),
    st.sampled_from([4, 8]),
)
def test_hostile_numbers_never_raise_anything_but_a_weights_error(
    valid: bytes, tmp_path: Path, place: int, number: int, width: int
) -> None:
    data = bytearray(valid)
    place %= 8 * 1024
    data[place : place + width] = (number % 256**width).to_bytes(width, "little")
    _reads_or_tells(tmp_path / "hostile.gguf", bytes(data))


def _reads_or_tells(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        found = header.read(path)
    except WeightsError as error:
        told = str(error)
    else:  # whatever was read can be asked for
        told = found.level
        assert found.bits_per_weight >= 0
        assert isinstance(found.token("tokenizer.ggml.eos_token_id"), str)
        assert isinstance(found.architecture, str)
        assert memory.kv_values_per_token(found) + memory.state_bytes(found) is not None
    assert told
    assert "\n" not in told


@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_of_many_small_arrays_no_more_is_read_than_any_model_has(tmp_path: Path, kind: str) -> None:
    """A file that declares more is refused on the way, and not read for minutes."""
    path = tmp_path / "m.gguf"
    count = 9_000
    if kind == "numbers":
        array = struct.pack("<IIQ", 9, 5, 1000) + bytes(4000)
    else:
        array = struct.pack("<IIQ", 9, 8, 1000) + bytes(8000)
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, count))
        for number in range(count):
            file.write(struct.pack("<Q", 6) + b"%06d" % number + array)
    reached = re.search(r"is damaged: near byte (\d+)", error_of(path))
    assert reached is not None
    assert int(reached[1]) < path.stat().st_size / 2
