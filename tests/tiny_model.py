"""Small llama models with random weights: quick to make, and real to llama.cpp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|{{ message['role'] }}|>\n{{ message['content'] }}{{ eos_token }}\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def write_tiny_model(
    path: Path,
    *,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    kv_heads: int = 2,
    feed_forward: int = 128,
    vocabulary: int = 300,
    context_tokens: int = 2048,
    template: str | None = CHAT_TEMPLATE,
    end_bias: float | None = 0.0,
    scale: float = 1.0,
    seed: int = 0,
    special: Sequence[str] = ("<s>", "</s>"),
    pre_tokenizer: str = "gpt-2",
) -> Path:
    """Write a llama with random weights and a byte-level vocabulary, and return its path.

    Args:
        end_bias: makes the end token more likely (there is no bias in a llama, so it is
            added to one direction of the output that the final norm keeps constant).
            None: its logit is 0, which is never the largest of many; so are those of bytes that
            begin a character, which other programs wait for past any limit.
        scale: of the output's weights: larger, more certain.
        special: texts of the special tokens; the first begins a text, the second ends it.
        pre_tokenizer: as the file names it; empty: it does not, as in old files.
    """
    random = np.random.default_rng(seed)
    writer = _begin(
        path,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        feed_forward=feed_forward,
        context_tokens=context_tokens,
    )
    add_vocabulary(writer, vocabulary, list(special), pre_tokenizer=pre_tokenizer)
    if template is not None:
        writer.add_chat_template(template)

    def matrix(name: str, rows: int, columns: int, factor: float = 1.0) -> None:
        values = random.standard_normal((rows, columns)) * factor / np.sqrt(columns)
        writer.add_tensor(f"{name}.weight", values.astype(np.float16))

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(width, dtype=np.float32))

    kv_width = width // heads * kv_heads
    embedding = random.standard_normal((vocabulary, width)).astype(np.float32)
    embedding[:, 0] = 8.0  # survives every layer: the same number for every token
    writer.add_tensor("token_embd.weight", embedding.astype(np.float16))
    for layer in range(layers):
        prefix = f"blk.{layer}"
        norm(f"{prefix}.attn_norm")
        matrix(f"{prefix}.attn_q", width, width)
        matrix(f"{prefix}.attn_k", kv_width, width)
        matrix(f"{prefix}.attn_v", kv_width, width)
        matrix(f"{prefix}.attn_output", width, width)
        norm(f"{prefix}.ffn_norm")
        matrix(f"{prefix}.ffn_gate", feed_forward, width)
        matrix(f"{prefix}.ffn_up", feed_forward, width)
        matrix(f"{prefix}.ffn_down", width, feed_forward)
    norm("output_norm")
    output = random.standard_normal((vocabulary, width)) * scale
    output[:, 0] = 0.0
    if end_bias is None:
        output[END] = 0.0
        output[0xC0:0x100] = 0.0
    else:
        output[END, 0] = end_bias
    writer.add_tensor("output.weight", output.astype(np.float16))
    end(writer)
    return path


def write_reciting_model(
    path: Path,
    pieces: Sequence[str],
    control: Sequence[str] = (),
    template: str = "{% for m in messages %}{{ m.content }}{% endfor %}",
    again: str = "",
) -> Path:
    """Write a model that answers any prompt with the same pieces, one token each, and ends.

    No layer changes anything; the next token depends on the last one alone. What is no piece is
    followed by the first one.

    Args:
        path: where it is written.
        pieces: of the text, all different.
        control: those that are control tokens.
        template: of chats.
        again: the piece that follows itself for ever.
    """
    special = ["<s>", "</s>", *pieces]
    size = 256 + len(special) + 1  # llama.cpp wants a merge of two letters
    width = -(-size // 64) * 64
    writer = _begin(path, layers=1, width=width, heads=1, kv_heads=1, feed_forward=32)
    writer.add_chat_template(template)
    kinds = {name: gguf.TokenType.USER_DEFINED for name in pieces if name not in control}
    add_vocabulary(writer, size, special, kinds)
    embedding = np.eye(size, width, dtype=np.float16)
    writer.add_tensor("token_embd.weight", embedding)
    shapes = {"attn_q": width, "attn_k": width, "attn_v": width, "attn_output": width}
    writer.add_tensor("blk.0.attn_norm.weight", np.ones(width, dtype=np.float32))
    writer.add_tensor("blk.0.ffn_norm.weight", np.ones(width, dtype=np.float32))
    for name, rows in shapes.items():
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros((rows, width), np.float16))
    for name, shape in {
        "ffn_gate": (32, width),
        "ffn_up": (32, width),
        "ffn_down": (width, 32),
    }.items():
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros(shape, np.float16))
    writer.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    first = 256 + 2
    following = np.full(size, first)
    following[first : size - 1] = range(first + 1, size)
    following[size - 2] = END
    if again:
        following[special.index(again) + 256] = special.index(again) + 256
    output = np.zeros((size, width), np.float16)
    output[following, np.arange(size)] = 1
    writer.add_tensor("output.weight", output)
    end(writer)
    return path


BEGIN, END = 256, 257


def _begin(
    path: Path,
    *,
    layers: int,
    width: int,
    heads: int,
    kv_heads: int,
    feed_forward: int,
    context_tokens: int = 2048,
) -> gguf.GGUFWriter:
    """Return a writer of a llama of this shape."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    return writer


def end(writer: gguf.GGUFWriter) -> None:
    """Write what was added."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(
    writer: gguf.GGUFWriter,
    size: int,
    special: list[str],
    others: Mapping[str, gguf.TokenType] | None = None,
    pre_tokenizer: str = "gpt-2",
) -> None:
    """Add one token per byte, the special ones, and merges of two letters for the rest.

    Args:
        writer: of the file.
        size: of the vocabulary.
        special: texts of the tokens that are not read as text; control tokens,
        others: unless they are said here to be of another kind.
        pre_tokenizer: see `write_tiny_model`.
    """
    of_bytes = byte_texts()
    letters = [of_bytes[code] for code in b"etaoinshrdlucmfwygpbvk"]
    pairs = [(a, b) for a in letters for b in letters][: max(size - 256 - len(special), 0)]
    tokens = [*of_bytes, *special, *(a + b for a, b in pairs)]
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    kinds[BEGIN : BEGIN + len(special)] = [gguf.TokenType.CONTROL] * len(special)
    for name, kind in (others or {}).items():
        kinds[tokens.index(name)] = kind
    while len(tokens) < size:
        tokens.append(f"<unused{len(tokens)}>")
        kinds.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    if pre_tokenizer:
        writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([f"{a} {b}" for a, b in pairs])
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(True)
    writer.add_vocab_size(size)


def byte_texts() -> list[str]:
    """Return the visible character that stands for each byte in byte-level vocabularies."""
    visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
    texts, moved = [], 256
    for code in range(256):
        if code in visible:
            texts.append(chr(code))
        else:
            texts.append(chr(moved))
            moved += 1
    return texts


def split(path: Path, parts: int) -> list[Path]:
    """Cut a GGUF into parts beside it, as llama.cpp's tool does, and return their paths."""
    reader = gguf.GGUFReader(str(path))
    count = len(reader.tensors)
    paths = []
    for number in range(parts):
        name = f"{path.stem}-{number + 1:05}-of-{parts:05}.gguf"
        writer = gguf.GGUFWriter(str(path.with_name(name)), "llama")
        for field in reader.fields.values() if number == 0 else ():
            if not field.name.startswith("GGUF.") and field.name != "general.architecture":
                value_type, *of = field.types
                writer.add_key_value(field.name, field.contents(), value_type, *of[:1])
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", parts)
        writer.add_int32("split.tensors.count", count)
        for tensor in reader.tensors[number * count // parts : (number + 1) * count // parts]:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        paths.append(path.with_name(name))
    return paths
