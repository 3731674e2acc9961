"""Train the demo model and write it as a GGUF: `python -m training.train_demo`.

A llama of about four million parameters learns the answers to this project's own problems
by heart, but for a quarter of them. It shows the whole pipeline at work without a network.
What it scores says nothing about code generation.

Needs the optional packages (`pip install '.[train]'`) and some minutes on two cores.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import gguf
import torch
from torch import Tensor
from torch.nn import functional

from experiments import problems as datasets
from training import chats, tokenizer
from training.network import Llama, Shape

ROOT = Path(__file__).parent.parent
SEED = 0
EPOCHS = 22
TOKENS_PER_BATCH = 1536
PEAK_RATE, LAST_RATE, WARMUP_STEPS = 2e-3, 5e-5, 50
WEIGHT_DECAY = 0.1
QUESTION_WEIGHT = 0.1  # of a token of the prompt in the loss; a token of the answer has 1

Example = tuple[list[int], int]
"""Token ids of a chat, and how many of them are its question."""


def main() -> None:
    """Read the problems, train, write the file."""
    arguments = _parser().parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    problems = datasets.load_own(arguments.problems).problems
    texts = list(chats.lessons(problems, ROOT / "conf" / "prompt"))
    shape = Shape()
    began = time.monotonic()
    words = tokenizer.train([chat.question + chat.answer for chat in texts], shape.vocabulary)
    examples = [
        (words.encode(chat.question + chat.answer), len(words.encode(chat.question)))
        for chat in texts
    ]
    longest = max(len(ids) for ids, _ in examples)
    total = sum(len(ids) for ids, _ in examples)
    print(
        f"{len(problems)} problems, {len(chats.held_out(problems))} held out, "
        f"{len(examples)} chats, "
        f"{total} tokens, longest {longest}, tokenizer {time.monotonic() - began:.0f} s",
        flush=True,
    )
    network = train(examples, shape, arguments.epochs, not arguments.float32)
    write(arguments.out, network, words)
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes")


def train(examples: Sequence[Example], shape: Shape, epochs: int, bfloat16: bool) -> Llama:
    """Return a network that has read all examples a number of times."""
    network = Llama(shape)
    matrices = [weight for weight in network.parameters() if weight.dim() > 1]
    vectors = [weight for weight in network.parameters() if weight.dim() < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": WEIGHT_DECAY},
            {"params": vectors, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
    )
    shuffled = random.Random(SEED)
    steps = epochs * len(list(_batches(examples, random.Random(SEED))))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=PEAK_RATE,
        total_steps=steps + epochs,  # the number of batches varies a little
        pct_start=min(0.3, WARMUP_STEPS / steps),
        div_factor=20,
        final_div_factor=PEAK_RATE / 20 / LAST_RATE,
        cycle_momentum=False,
    )
    began = time.monotonic()
    for epoch in range(epochs):
        losses = []
        for ids, weights in _batches(examples, shuffled):
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                logits = network(ids[:, :-1])
            each = functional.cross_entropy(
                logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
            )
            loss = (each * weights[:, 1:].flatten()).sum() / weights[:, 1:].sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(
            f"epoch {epoch + 1}/{epochs}  loss {sum(losses) / len(losses):.4f}  "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
    return network


def write(path: Path, network: Llama, words: tokenizer.Tokenizer) -> None:
    """Write weights, tokenizer and chat template as an F16 GGUF, in place of an older one."""
    shape = network.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.half")  # a stopped write leaves the older file whole
    writer = gguf.GGUFWriter(half, "llama")
    writer.add_name("demo")
    writer.add_description(
        "Has learned this project's own problems by heart, to show the pipeline at work. "
        "Its scores say nothing about code generation."
    )
    writer.add_license("mit")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokenizer.PRE_TOKENIZER)
    writer.add_token_list(list(words.tokens))
    writer.add_token_types(
        [
            gguf.TokenType.CONTROL if token in tokenizer.SPECIAL_TOKENS else gguf.TokenType.NORMAL
            for token in words.tokens
        ]
    )
    writer.add_token_merges([f"{left} {right}" for left, right in words.merges])
    writer.add_bos_token_id(words.ids[tokenizer.END_OF_TEXT])
    writer.add_eos_token_id(words.ids[tokenizer.END])
    writer.add_pad_token_id(words.ids[tokenizer.END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_chat_template(chats.CHAT_TEMPLATE)
    for name, weight in network.tensors().items():
        # Vectors stay in F32, as llama.cpp's own converter has it.
        writer.add_tensor(name, (weight.half() if weight.dim() > 1 else weight).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    half.replace(path)


def _batches(
    examples: Sequence[Example], shuffled: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield padded ids and the weight of each in the loss; neighbours have similar lengths."""
    order = sorted(examples, key=lambda example: len(example[0]) + shuffled.uniform(-60, 60))
    groups: list[list[Example]] = [[]]
    for example in order:
        longest = max(len(ids) for ids, _ in [*groups[-1], example])
        if groups[-1] and longest * (len(groups[-1]) + 1) > TOKENS_PER_BATCH:
            groups.append([])
        groups[-1].append(example)
    shuffled.shuffle(groups)
    for group in groups:
        longest = max(len(ids) for ids, _ in group)
        ids = torch.zeros(len(group), longest, dtype=torch.long)
        weights = torch.zeros(len(group), longest)
        for row, (tokens, question) in enumerate(group):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            weights[row, :question] = QUESTION_WEIGHT
            weights[row, question : len(tokens)] = 1.0
        yield ids, weights


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--problems", type=Path, default=ROOT / "problems")
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "demo" / "demo-f16.gguf")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument(
        "--threads", type=int, default=2, help="on a busy machine 1 is faster than all cores"
    )
    parser.add_argument(
        "--float32",
        action="store_true",
        help="do not multiply in bfloat16: faster on processors that lack it",
    )
    return parser


if __name__ == "__main__":
    main()
