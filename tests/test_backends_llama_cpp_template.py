from pathlib import Path

import pytest

from experiments.backends.llama_cpp.template import ChatTemplate
from experiments.errors import WeightsError
from experiments.records import Message, Weights


def render(template: str | None, *messages: tuple[str, str]) -> str:
    weights = Weights(
        Path("m.gguf"), "0" * 64, "m", "q8_0", 1, 8.0, 1,
        chat_template=template, bos_token="<s>", eos_token="</s>",
    )  # fmt: skip
    return ChatTemplate(weights).render([Message(*message) for message in messages])


MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)


def test_the_models_own_words_are_used() -> None:
    assert render(MISTRAL, ("user", "Hi {{ 1 + 1 }}")) == "<s>[INST] Hi {{ 1 + 1 }} [/INST]"


def test_the_assistants_turn_is_opened() -> None:
    template = "{{ messages[0].content }}{% if add_generation_prompt %}|go{% endif %}"
    assert render(template, ("user", "a")) == "a|go"


def test_a_refused_system_message_goes_into_the_first_user_message() -> None:
    assert render(MISTRAL, ("system", "Be good."), ("user", "Hi")) == (
        "<s>[INST] Be good.\n\nHi [/INST]"
    )


def test_what_is_refused_for_another_reason_is_told() -> None:
    with pytest.raises(WeightsError, match=r"template of m\.gguf fails: Roles must alternate"):
        render(MISTRAL, ("user", "a"), ("user", "b"))


def test_white_space_is_trimmed_as_the_models_were_trained() -> None:
    template = (
        "{% for m in messages %}\n    {% if true %}\n{{ m.content }}\n    {% endif %}\n{% endfor %}"
    )
    assert render(template, ("user", "a")) == "a\n"


def test_json_break_and_namespaces_work() -> None:
    template = (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
        "{{ m | tojson }}{% break %}{% endfor %}{{ ns.n }}"
    )
    assert render(template, ("user", "é<"), ("user", "b")) == '{"role": "user", "content": "é<"}1'


def test_no_template_puts_todays_date_into_a_prompt() -> None:
    template = "{% if strftime_now is defined %}{{ strftime_now('%d') }}{% else %}fixed{% endif %}"
    assert render(template, ("user", "a")) == "fixed"


def test_no_template_is_an_error_and_no_silent_default() -> None:
    with pytest.raises(WeightsError, match=r"m\.gguf has no chat template.*model\.chat_template"):
        render(None, ("user", "a"))


@pytest.mark.parametrize(
    "template",
    ["{% for %}", "{{ messages[0].nothing.here }}", "{{ 1 / 0 }}", "{{ ''.__class__.mro() }}"],
)
def test_a_broken_or_hostile_template_is_told(template: str) -> None:
    with pytest.raises(WeightsError, match=r"template of m\.gguf fails"):
        render(template, ("user", "a"))
