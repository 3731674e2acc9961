"""Chat templates, against the text and the tokens that the makers of the models publish."""

import os
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import gguf
import pytest
from hydra import compose, initialize_config_dir
from tiny_model import byte_texts, write_tiny_model

import experiments.app  # noqa: F401 (registers the schema)
from experiments.backends.llama_cpp.template import TODAY, ChatTemplate
from experiments.errors import ConfigError, WeightsError
from experiments.records import Message, Weights
from experiments.weights import templates

ROOT = Path(__file__).resolve().parent.parent
SYSTEM, FIRST, ANSWER, SECOND = (
    Message("system", "Be brief."),
    Message("user", "Write add."),
    Message("assistant", "Done."),
    Message("user", "Now subtract."),
)
QWEN = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
DEEPSEEK = (
    "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by "
    "Deepseek Company, and you only answer questions related to computer science. For "
    "politically sensitive questions, security and privacy issues, and other non-computer "
    "science questions, you will refuse to answer\n"
)
LLAMA3_1 = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
)

# Model → begin and end token, then the prompt for a question alone, and for a system message,
# a question, its answer and a second question.
PUBLISHED = {
    "mistral": (
        ("<s>", "</s>"),
        "<s>[INST] Write add. [/INST]",
        "<s>[INST] Be brief.\n\nWrite add. [/INST]Done.</s>[INST] Now subtract. [/INST]",
    ),
    "dolphin": (
        ("<s>", "<|im_end|>"),
        "<|im_start|>user\nWrite add.<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWrite add.<|im_end|>\n"
        "<|im_start|>assistant\nDone.<|im_end|>\n<|im_start|>user\nNow subtract.<|im_end|>\n"
        "<|im_start|>assistant\n",
    ),
    "llama2": (
        ("<s>", "</s>"),
        "<s>[INST] Write add. [/INST]",
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWrite add. [/INST] Done. </s>"
        "<s>[INST] Now subtract. [/INST]",
    ),
    "llama3_1": (
        ("<|begin_of_text|>", "<|eot_id|>"),
        LLAMA3_1 + "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWrite add.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        LLAMA3_1 + "Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
        "Write add.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nDone.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nNow subtract.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "zephyr": (
        ("<s>", "</s>"),
        "<|user|>\nWrite add.</s>\n<|assistant|>\n",
        "<|system|>\nBe brief.</s>\n<|user|>\nWrite add.</s>\n<|assistant|>\nDone.</s>\n"
        "<|user|>\nNow subtract.</s>\n<|assistant|>\n",
    ),
    "phi3_mini": (
        ("<s>", "<|endoftext|>"),
        "<|user|>\nWrite add.<|end|>\n<|assistant|>\n",
        "<|system|>\nBe brief.<|end|>\n<|user|>\nWrite add.<|end|>\n<|assistant|>\nDone.<|end|>\n"
        "<|user|>\nNow subtract.<|end|>\n<|assistant|>\n",
    ),
    "deepseek_coder_1_3b": (
        ("<｜begin▁of▁sentence｜>", "<|EOT|>"),
        "<｜begin▁of▁sentence｜>" + DEEPSEEK + "### Instruction:\nWrite add.\n### Response:\n",
        "<｜begin▁of▁sentence｜>Be brief.### Instruction:\nWrite add.\n### Response:\n"
        "Done.\n<|EOT|>\n### Instruction:\nNow subtract.\n### Response:\n",
    ),
    "qwen2_5_coder_7b": (
        ("", "<|im_end|>"),
        f"{QWEN}<|im_end|>\n<|im_start|>user\nWrite add.<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWrite add.<|im_end|>\n"
        "<|im_start|>assistant\nDone.<|im_end|>\n<|im_start|>user\nNow subtract.<|im_end|>\n"
        "<|im_start|>assistant\n",
    ),
    "minicpm": (
        ("<s>", "</s>"),
        "<用户>Write add.<AI>",
        "Be brief.<用户>Write add.<AI>Done.<用户>Now subtract.<AI>",
    ),
}
SAME_AS = {
    "openhermes": "dolphin",
    "codellama": "llama2",
    "llama2_13b": "llama2",
    "tinyllama": "zephyr",
    "deepseek_coder_6_7b": "deepseek_coder_1_3b",
    "qwen2_5_coder_0_5b": "qwen2_5_coder_7b",
    "qwen2_5_coder_1_5b": "qwen2_5_coder_7b",
    "qwen2_5_coder_3b": "qwen2_5_coder_7b",
}


def template_of(model: str) -> ChatTemplate:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=[f"model={model}"])
    source = templates.source(config.model.chat_template)
    begin, end = PUBLISHED[SAME_AS.get(model, model)][0]
    return ChatTemplate(weights(source, begin, end))


def weights(source: str | None, begin: str = "<s>", end: str = "</s>") -> Weights:
    return Weights(
        Path("model.gguf"), "0" * 64, "m", "f16", 1, 16.0, 1, source, "config", "llama", begin, end
    )


@pytest.mark.parametrize("model", [*PUBLISHED, *SAME_AS])
def test_prompts_are_as_the_makers_publish_them(model: str) -> None:
    template = template_of(model)
    _, alone, dialogue = PUBLISHED[SAME_AS.get(model, model)]
    assert template.render([[FIRST], [SYSTEM, FIRST, ANSWER, SECOND]]) == [alone, dialogue]


def test_every_chat_model_of_the_configuration_is_in_this_table() -> None:
    chat = {
        path.stem
        for path in (ROOT / "conf" / "model").glob("*.yaml")
        if "chat_template: " in path.read_text(encoding="utf-8")
    }
    assert chat == {*PUBLISHED, *SAME_AS}


def test_the_text_of_a_system_message_is_never_lost() -> None:
    for name, source in templates.TEMPLATES.items():
        (text,) = ChatTemplate(weights(source)).render([[SYSTEM, FIRST]])
        assert text.count("Be brief.") == 1, name
        assert text.index("Be brief.") < text.index("Write add."), name


def test_a_template_that_refuses_a_system_message_gets_its_text_before_the_question() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
        "{% endif %}[{{ m.content }}]{% endfor %}"
    )
    assert ChatTemplate(weights(source)).render([[SYSTEM, FIRST]]) == ["[Be brief.\n\nWrite add.]"]


def test_no_template_is_an_error_that_says_where_to_name_one() -> None:
    with pytest.raises(WeightsError, match=r"no chat template.*model\.chat_template"):
        ChatTemplate(weights(None))


def test_a_misspelled_name_of_a_template_is_told() -> None:
    with pytest.raises(ConfigError, match=r"no chat template 'chatlm'\. Did you mean 'chatml'"):
        templates.source("chatlm")


CHATS = [[FIRST], [SYSTEM, FIRST], [FIRST, ANSWER, SECOND]]

OF_OTHERS = sorted(Path(os.environ.get("CHAT_TEMPLATES", "nowhere")).glob("*.jinja"))
"""Templates of other makers, where somebody has them: `models/templates` of llama.cpp's source,
which the source package of llama-cpp-python has in `vendor/llama.cpp`."""


@pytest.mark.parametrize("path", OF_OTHERS, ids=lambda path: path.stem)
def test_templates_of_other_makers_give_what_transformers_gives(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = pytest.importorskip("transformers.utils.chat_template_utils")

    class Today(datetime):
        @classmethod
        def now(cls, *_: Any) -> datetime:  # type: ignore[override]
            return datetime.fromisoformat(TODAY)

    monkeypatch.setattr(reference, "datetime", Today)
    source = path.read_text(encoding="utf-8")
    for chat in CHATS:
        turns = [{"role": m.role, "content": m.content} for m in chat]
        try:
            (expected,), _ = reference.render_jinja_template(
                [turns],
                chat_template=source,
                add_generation_prompt=True,
                bos_token="<s>",
                eos_token="</s>",
            )
        except Exception:  # it wants a tool, or has no system role: ours may do better
            continue
        assert ChatTemplate(weights(source)).render([chat]) == [expected]


BYTES = byte_texts()
SPECIAL = {
    "mistral": [],
    "dolphin": ["<|im_start|>", "<|im_end|>"],
    "llama2": [],
    "zephyr": [],
    "phi3_mini": ["<|user|>", "<|system|>", "<|assistant|>", "<|end|>"],
    "llama3_1": ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "codellama": [],
    "deepseek_coder_1_3b": [],
    "minicpm": [],
}
"""The special tokens of each family's vocabulary, beside its begin and end token."""


@pytest.mark.parametrize("model", list(SPECIAL))
def test_special_tokens_are_one_token_each_and_the_begin_token_comes_once(
    model: str, tmp_path: Path
) -> None:
    from experiments.backends.llama_cpp.model import Model

    (begin, end), *prompts = PUBLISHED[SAME_AS.get(model, model)]
    special = list(dict.fromkeys([begin, end, *SPECIAL[model]]))
    path = write_tiny_model(tmp_path / "tiny.gguf", special=special)
    named = _vocabulary(path)
    loaded = Model(str(path))
    try:
        for prompt in map(str, prompts):
            texts = [named[token] for token in loaded.tokens(prompt, is_chat=True)]
            assert texts[0] == begin
            # Llama 2's makers begin each further question with one; nobody's comes twice in a row.
            assert [text for text in texts[1:] if text in special] == _in_order(
                prompt.removeprefix(begin), special
            )
            rest = "".join(text for text in texts if text not in special)
            others = "".join(re.split("|".join(map(re.escape, special)), prompt))
            assert rest == "".join(BYTES[byte] for byte in others.encode())  # and nothing else
    finally:
        loaded.close()


def test_the_audit_of_a_run_tells_what_the_model_reads(tmp_path: Path) -> None:
    from experiments.backends.keys import requests_for
    from experiments.records import Prompt, Request
    from experiments.schema import Sampling
    from experiments.weights import audit, read_header
    from experiments.weights.facts import facts

    path = write_tiny_model(tmp_path / "tiny.gguf")
    source = templates.TEMPLATES["llama2"]
    found = replace(weights(source), path=path, facts=facts(read_header(path)))
    prompt = Prompt("easy/one", "one", messages=(SYSTEM, FIRST))
    (text,) = ChatTemplate(found).render([prompt.messages])

    def request(prompt: Prompt, text: str) -> Request:
        (made,) = requests_for([(prompt, text)], Sampling(), 0, {})
        return made

    said = audit(request(prompt, text), found, {"stop": ["END"]})
    assert said["prompt"] == "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWrite add. [/INST]"
    assert (said["kind"], said["template"]["source"]) == ("chat", "config")
    assert said["template"]["same_as_in_gguf"] is False
    assert said["begin_token"] == {
        "text": "<s>",
        "in_prompt": 1,
        "added_by_tokenizer": True,
        "read_by_model": 1,
    }
    assert (said["stop_tokens"], said["stop_strings"]) == ({"eos": "</s>"}, ["END"])
    doubled = audit(request(prompt, "<s>" + text), found, {})
    assert doubled["begin_token"]["read_by_model"] == 2
    plain = Prompt("easy/one", "one", completion="def one():\n")
    base = audit(request(plain, plain.completion), found, {})
    assert (base["kind"], base["template"], base["begin_token"]["read_by_model"]) == (
        "completion",
        {"source": "none"},
        1,
    )
    assert audit(request(prompt, text), None, {})["template"] == {"source": "server"}


def _vocabulary(path: Path) -> list[str]:
    field = gguf.GGUFReader(str(path)).fields["tokenizer.ggml.tokens"]
    return [str(bytes(field.parts[index]), "utf-8") for index in field.data]


def _in_order(text: str, specials: list[str]) -> list[str]:
    found = [(i, s) for s in specials for i in range(len(text)) if text.startswith(s, i)]
    return [special for _, special in sorted(found)]
