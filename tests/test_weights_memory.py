"""What a sequence keeps in memory is what llama.cpp allocates for it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
import pytest
from tiny_model import BEGIN, byte_texts, write_tiny_model

from experiments.backends.llama_cpp.memory import kv_bytes
from experiments.schema import ModelConfig, PromptKind, QuantizationConfig
from experiments.weights import header, locate, memory
from experiments.weights.header import Header, Tensor

TOKENS = 1024


def model(
    architecture: str, values: Mapping[str, Any], layers: Sequence[Mapping[str, tuple[int, ...]]]
) -> Header:
    """Return the header of a model that is known by its numbers and its tensors' shapes."""
    metadata = {f"{architecture}.{key}": value for key, value in values.items()}
    metadata |= {"general.architecture": architecture, f"{architecture}.block_count": len(layers)}
    tensors = [
        Tensor(f"blk.{number}.{name}.weight", shape, 1, 0, 0)
        for number, layer in enumerate(layers)
        for name, shape in layer.items()
    ]
    path = Path(f"{architecture}.gguf")
    return Header(path, (path,), 0, 3, metadata, tuple(tensors), 0)


ATTENTION = {"attn_norm": (64,), "attn_q": (64, 64), "attn_output": (64, 64)}
MAMBA = {"attn_norm": (64,), "ssm_in": (64, 64)}


def test_a_mamba_of_7_billion_parameters_keeps_a_quarter_of_a_gigabyte() -> None:
    """Codestral Mamba 7B, by the numbers of its makers' configuration."""
    numbers = {
        "ssm.conv_kernel": 4, "ssm.inner_size": 8192, "ssm.state_size": 128, "ssm.group_count": 8
    }  # fmt: skip
    found = model("mamba2", {**numbers, "attention.head_count": 0}, [MAMBA] * 64)
    assert memory.kv_values_per_token(found) == 0
    assert memory.state_bytes(found) == pytest.approx(0.276e9, rel=0.01)


def test_layers_without_attention_keep_no_tokens() -> None:
    """As in Granite 4 H and Nemotron-H: recurrent, attention and feed-forward layers."""
    numbers = {
        "attention.head_count": 8, "attention.head_count_kv": (0, 4, 0, 4), "embedding_length": 64,
        "ssm.conv_kernel": 4, "ssm.inner_size": 128, "ssm.state_size": 16, "ssm.group_count": 1,
    }  # fmt: skip
    ffn = {"attn_norm": (64,), "ffn_up": (64, 64)}
    found = model("nemotron_h", numbers, [MAMBA, ATTENTION, ffn, ATTENTION])
    assert memory.kv_values_per_token(found) == 2 * 4 * (8 + 8)
    assert memory.state_bytes(found) == 4 * (3 * (128 + 2 * 16) + 128 * 16)


def test_a_gated_delta_net_calls_its_projection_attention_and_keeps_a_state() -> None:
    """As in Qwen3-Next and Qwen3.5; a layer that predicts a second token keeps nothing."""
    numbers = {
        "attention.head_count": 8, "attention.head_count_kv": 2, "embedding_length": 64,
        "attention.key_length": 32, "attention.value_length": 32, "nextn_predict_layers": 1,
        "ssm.conv_kernel": 4, "ssm.inner_size": 128, "ssm.state_size": 16, "ssm.group_count": 2,
    }  # fmt: skip
    linear = {"attn_qkv": (64, 192), "attn_gate": (64, 128), "ssm_out": (128, 64)}
    full = {**ATTENTION, "attn_k": (64, 64), "attn_v": (64, 64)}
    found = model("qwen35", numbers, [linear, linear, linear, full, full])
    assert memory.kv_values_per_token(found) == 64 + 64
    assert memory.state_bytes(found) == 3 * 4 * (3 * (128 + 2 * 2 * 16) + 128 * 16)


def test_layers_with_attention_and_a_state_keep_both() -> None:
    """As in Falcon-H1."""
    numbers = {
        "attention.head_count": 4, "attention.head_count_kv": 2, "embedding_length": 64,
        "ssm.conv_kernel": 4, "ssm.inner_size": 128, "ssm.state_size": 16, "ssm.group_count": 1,
    }  # fmt: skip
    both = {**ATTENTION, **MAMBA, "attn_k": (64, 32), "attn_v": (64, 32)}
    found = model("falcon-h1", numbers, [both, both])
    assert memory.kv_values_per_token(found) == 2 * (32 + 32)
    assert memory.state_bytes(found) > 0


def test_latent_attention_keeps_one_row_of_keys() -> None:
    """DeepSeek-Coder-V2-Lite: 27 layers of 512 + 64 numbers; an older file keeps all heads."""
    numbers = {
        "attention.head_count": 16, "attention.head_count_kv": 1, "embedding_length": 2048,
        "attention.key_length": 576, "attention.value_length": 512,
        "attention.key_length_mla": 192, "attention.value_length_mla": 128,
    }  # fmt: skip
    layer = {"attn_q": (2048, 3072), "attn_kv_a_mqa": (2048, 576), "attn_k_b": (128, 512, 16)}
    assert memory.kv_values_per_token(model("deepseek2", numbers, [layer] * 27)) == 27 * 576
    older = {key: value for key, value in numbers.items() if not key.endswith("_mla")}
    older |= {
        "attention.head_count_kv": 16, "attention.key_length": 192, "attention.value_length": 128
    }  # fmt: skip
    assert memory.kv_values_per_token(model("deepseek2", older, [layer] * 27)) == 27 * 16 * 320


def test_layers_that_share_the_cache_of_others_keep_nothing() -> None:
    """As in Gemma 3n and 4: keys of two widths, values as wide as the widest."""
    numbers = {
        "attention.head_count": 2, "attention.head_count_kv": 1, "embedding_length": 64,
        "attention.shared_kv_layers": 2,
    }  # fmt: skip
    narrow = {**ATTENTION, "attn_k": (64, 16), "attn_v": (64, 16)}
    wide = {**ATTENTION, "attn_k": (64, 32), "attn_v": (64, 32)}
    found = model("gemma4", numbers, [narrow, wide, narrow, wide])
    assert memory.kv_values_per_token(found) == (16 + 32) + 2 * 32


@pytest.mark.parametrize(
    ("architecture", "numbers", "tensor", "values"),
    [
        ("rwkv7", {"wkv.head_size": 16, "token_shift_count": 2}, "time_mix_w0", 64 * (2 + 16)),
        ("lfm2", {"shortconv.l_cache": 3}, "shortconv.conv", 64 * 2),
        (
            "kimi-linear",
            {"kda.head_dim": 8, "ssm.conv_kernel": 4, "attention.head_count": 2},
            "ssm_conv1d_q",
            2 * 8 * (3 * 3 + 8),
        ),
    ],
)
def test_other_recurrent_layers_are_counted(
    architecture: str, numbers: dict[str, int], tensor: str, values: int
) -> None:
    numbers = {"embedding_length": 64, "attention.head_count_kv": 0, **numbers}
    found = model(architecture, numbers, [{tensor: (64,)}] * 3)
    assert memory.kv_values_per_token(found) == 0
    assert memory.state_bytes(found) == 3 * 4 * values


def write_tiny_mamba(path: Path) -> Path:
    """Write a mamba with random weights: two layers, 64 wide."""
    width, inner, state, kernel, rank = 64, 128, 16, 4, 4
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(str(path), "mamba")
    writer.add_context_length(TOKENS)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(2)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*byte_texts(), "<s>"])
    writer.add_token_merges(["e t"])
    writer.add_bos_token_id(BEGIN)
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (257, width), "output_norm": (width,)}
    for layer in range(2):
        shapes |= {
            f"blk.{layer}.{name}": shape
            for name, shape in {
                "attn_norm": (width,),
                "ssm_in": (2 * inner, width),
                "ssm_conv1d": (inner, kernel),
                "ssm_conv1d.bias": (inner,),
                "ssm_x": (rank + 2 * state, inner),
                "ssm_dt": (inner, rank),
                "ssm_dt.bias": (inner,),
                "ssm_a": (inner, state),
                "ssm_d": (inner,),
                "ssm_out": (width, inner),
            }.items()
        }
    for name, shape in shapes.items():
        full = name if name.endswith((".bias", "ssm_a", "ssm_d")) else f"{name}.weight"
        writer.add_tensor(full, random.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def allocated(path: Path, sequences: int) -> float:
    """Return the bytes that llama.cpp says that it allocates for so many sequences."""
    lines: list[str] = []

    @llama_cpp.llama_log_callback
    def keep(_: int, text: bytes, __: object) -> None:
        lines.append(text.decode(errors="replace"))

    llama_cpp.llama_log_set(keep, None)
    try:
        loaded = llama_cpp.llama_model_load_from_file(
            str(path).encode(), llama_cpp.llama_model_default_params()
        )
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx, settings.n_seq_max = TOKENS * sequences, sequences
        settings.flash_attn_type = 0
        settings.kv_unified = False
        context = llama_cpp.llama_init_from_model(loaded, settings)
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(loaded)
    finally:
        llama_cpp.llama_log_set(silence, None)
    found = re.findall(r"(?:KV|RS) buffer size = +([\d.]+) MiB", "".join(lines))
    assert found, lines
    return sum(map(float, found)) * 2**20


@llama_cpp.llama_log_callback
def silence(*_: object) -> None:
    """Take what llama.cpp says, and say nothing."""


def test_it_is_what_llama_cpp_allocates(tmp_path: Path) -> None:
    shape = {"layers": 3, "width": 128, "heads": 8, "kv_heads": 2}
    llama = write_tiny_model(tmp_path / "llama.gguf", **shape)
    kept = memory.kv_values_per_token(header.read(llama))
    assert kept == 3 * 2 * (16 + 16)
    assert allocated(llama, 16) == pytest.approx(16 * TOKENS * 2 * kept, abs=2**13)
    mamba = write_tiny_mamba(tmp_path / "mamba.gguf")
    state = memory.state_bytes(header.read(mamba))
    assert state == 2 * 4 * (3 * 128 + 128 * 16)
    assert allocated(mamba, 64) == pytest.approx(64 * state, abs=2**13)


def test_the_estimate_of_a_run_counts_the_state_once_for_each_sequence(tmp_path: Path) -> None:
    file = ModelConfig("mamba", file=str(write_tiny_mamba(tmp_path / "mamba.gguf")))
    file.kind = PromptKind.completion
    found = locate(file, QuantizationConfig("f32", "ALL_F32"), tmp_path / "models")
    assert (found.kv_values_per_token, found.state_bytes) == (0, 2 * 4 * (3 * 128 + 128 * 16))
    assert kv_bytes(found, 100, "f16") == kv_bytes(found, 10_000, "q8_0") == found.state_bytes


def test_the_layer_with_most_heads_counts() -> None:
    assert memory.most_heads(model("lfm2", {"attention.head_count": (0, 8, 4)}, [])) == 8
    assert memory.most_heads(model("llama", {"attention.head_count": 32}, [])) == 32
    assert memory.most_heads(model("rwkv7", {}, [])) == 0
