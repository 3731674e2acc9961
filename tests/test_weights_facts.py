"""What a file tells of where it comes from, and what is said of it."""

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from tiny_model import write_tiny_model

from experiments import weights
from experiments.schema import ModelConfig, PromptKind, QuantizationConfig
from experiments.weights import header
from experiments.weights.facts import facts, has_old_recipe, importance_matrix

Q8_0 = QuantizationConfig("q8_0", "MOSTLY_Q8_0")
Q2_K = QuantizationConfig("q2_k", "MOSTLY_Q2_K")
MXFP4 = gguf.GGMLQuantizationType.MXFP4


def write(
    path: Path,
    level: gguf.LlamaFileType = gguf.LlamaFileType.MOSTLY_Q4_K_M,
    extra: Callable[[gguf.GGUFWriter], None] = lambda writer: None,
    up: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q4_K,
    pre: str = "qwen2",
    tokenizer: str = "gpt2",
) -> Path:
    """Write a header with one matrix of experts or feed-forward weights; its content is zeros."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type(level)
    writer.add_tokenizer_model(tokenizer)
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(["a", "b"])
    extra(writer)
    block, size = gguf.GGML_QUANT_SIZES[up]
    zeros = np.zeros((8, 512 // block * size), np.uint8)
    writer.add_tensor("blk.0.ffn_up.weight", zeros, raw_dtype=up)
    writer.add_tensor("output_norm.weight", np.ones(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def matrix(writer: gguf.GGUFWriter) -> None:
    writer.add_string("quantize.imatrix.file", "calibration.dat")
    writer.add_int32("quantize.imatrix.entries_count", 224)


def uploaded(writer: gguf.GGUFWriter) -> None:
    writer.add_string("general.quantized_by", "Somebody")
    writer.add_string("somebody.quantized_at", "2025-07-10T02:02:28+02:00")
    writer.add_string("general.url", "https://hub.example/somebody/x")


def test_a_file_says_who_made_it_when_and_how(tmp_path: Path) -> None:
    found = facts(header.read(write(tmp_path / "m.gguf", extra=uploaded)))
    assert (found["pre_tokenizer"], found["quantizer"]) == ("qwen2", "Somebody")
    assert found["date"] == "2025-07-10T02:02:28+02:00"
    assert found["metadata"]["general.url"] == "https://hub.example/somebody/x"
    assert found["tensor_types"] == {"q4_k": 0.9981, "f32": 0.0019}
    assert (found["uploader"], found["recipe"]) == (None, None)


def test_the_uploader_is_known_of_what_was_fetched_here(tmp_path: Path) -> None:
    note = {"repository": "somebody/x-GGUF", "commit": "c0ffee"}
    (tmp_path / ".m.gguf.origin.json").write_text(json.dumps(note))
    found = facts(header.read(write(tmp_path / "m.gguf")))
    assert (found["uploader"], found["commit"]) == ("somebody", "c0ffee")
    (tmp_path / ".m.gguf.origin.json").write_text("[")
    assert facts(header.read(tmp_path / "m.gguf"))["uploader"] is None


def test_a_matrix_was_used_was_not_or_is_not_told(tmp_path: Path) -> None:
    assert importance_matrix(header.read(write(tmp_path / "a.gguf", extra=matrix))) is True
    assert importance_matrix(header.read(write(tmp_path / "b.gguf"))) is False
    assert importance_matrix(header.read(write(tmp_path / "c.gguf", pre=""))) is None
    f16 = write(tmp_path / "d.gguf", gguf.LlamaFileType.MOSTLY_F16)
    assert importance_matrix(header.read(f16)) is None


def test_what_is_made_here_has_no_matrix_and_says_so(tmp_path: Path) -> None:
    source = write_tiny_model(tmp_path / "tiny.gguf", width=256, feed_forward=256)
    made = weights.locate(ModelConfig("tiny", file=str(source)), Q2_K, tmp_path / "models")
    assert made.facts["importance_matrix"] is False
    assert made.facts["quantizer"] == "this project"
    assert not has_old_recipe(header.read(made.path))


def test_the_former_recipe_of_q2_k_is_known_by_its_tensors(tmp_path: Path) -> None:
    q2_k, q3_k = gguf.LlamaFileType.MOSTLY_Q2_K, gguf.GGMLQuantizationType.Q3_K
    old = header.read(write(tmp_path / "old.gguf", q2_k, up=q3_k))
    assert facts(old)["recipe"] == "of before January 2024"
    new = write(tmp_path / "new.gguf", q2_k, up=gguf.GGMLQuantizationType.Q2_K)
    assert facts(header.read(new))["recipe"] is None
    other = write(tmp_path / "q3.gguf", gguf.LlamaFileType.MOSTLY_Q3_K_M, up=q3_k)
    assert facts(header.read(other))["recipe"] is None


def test_a_file_without_a_pre_tokenizer_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    q4_k_m = QuantizationConfig("q4_k_m", "MOSTLY_Q4_K_M")

    def locate(path: Path) -> None:
        model = ModelConfig("m", file=str(path), kind=PromptKind.completion)
        weights.locate(model, q4_k_m, tmp_path / "models")

    locate(write(tmp_path / "new.gguf"))
    locate(write(tmp_path / "sentencepiece.gguf", pre="", tokenizer="llama"))
    assert not caplog.records
    old = write(tmp_path / "old.gguf", pre="")
    locate(old)
    locate(old)
    assert [record.getMessage().split()[0] for record in caplog.records] == [str(old)]
    assert "was converted before May 2024" in caplog.text


@pytest.mark.parametrize(
    ("level", "up", "label"),
    [
        (gguf.LlamaFileType.MOSTLY_F16, MXFP4, "f16+mxfp4"),
        (gguf.LlamaFileType.MOSTLY_Q4_K_M, MXFP4, "q4_k_m+mxfp4"),
        (gguf.LlamaFileType.MOSTLY_MXFP4_MOE, MXFP4, "mxfp4_moe"),
        (gguf.LlamaFileType.MOSTLY_F16, gguf.GGMLQuantizationType.Q8_0, "f16+q8_0"),
        # Rows that are no multiple of 256: the quantizer takes another type, the level is the same.
        (gguf.LlamaFileType.MOSTLY_Q4_K_M, gguf.GGMLQuantizationType.Q5_0, "q4_k_m"),
        (gguf.LlamaFileType.MOSTLY_F16, gguf.GGMLQuantizationType.BF16, "f16"),
    ],
)
def test_a_file_of_mixed_types_is_labelled_as_such(
    tmp_path: Path, level: gguf.LlamaFileType, up: gguf.GGMLQuantizationType, label: str
) -> None:
    path = write(tmp_path / "m.gguf", level, up=up)
    model = ModelConfig("m", file=str(path), kind=PromptKind.completion)
    name = header.read(path).level
    asked = QuantizationConfig(name, f"MOSTLY_{name.upper()}")
    assert weights.locate(model, asked, tmp_path / "models").quantization == label
