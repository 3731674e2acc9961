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
    (text,) = ChatTemplate(weights).render([[Message(*message) for message in messages]])
    return text


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


def test_the_date_in_a_prompt_is_the_same_on_every_day() -> None:
    assert render("{{ strftime_now('%d %B %Y') }}", ("user", "a")) == "26 July 2024"


def test_marks_for_training_are_passed_through() -> None:
    template = (
        "{% generation %}{% for m in messages %}{{ m.content }}{% endfor %}{% endgeneration %}"
    )
    assert render(template, ("user", "a")) == "a"


def test_json_takes_the_arguments_that_transformers_has() -> None:
    template = (
        "{{ messages[0] | tojson(indent=1, sort_keys=true, ensure_ascii=true, "
        "separators=(',', ':')) }}"
    )
    said = '{\n "content":"\\u00e9",\n "role":"user"\n}'
    assert render(template, ("user", "é")) == said


def test_tools_and_documents_are_none_as_in_transformers() -> None:
    template = "{% if tools is not none or documents is not none %}many{% else %}no{% endif %}"
    assert render(template, ("user", "a")) == "no"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "an end",
        ),
        ("{{ 'a' * 3000000000 }}", "more than 1024 MiB"),
        ("{% for a in range(99) %}{{ 'a' * 100000 }}{% endfor %}", "9900000 characters"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
    ],
    ids=["endless", "huge", "long", "recursive"],
)
@pytest.mark.slow
def test_a_template_that_takes_too_much_is_stopped(template: str, reason: str) -> None:
    with pytest.raises(WeightsError, match=rf"template of m\.gguf fails: .*{reason}"):
        render(template, ("user", "a"))


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


def test_prompts_that_are_too_long_together_are_refused() -> None:
    weights = Weights(
        Path("m.gguf"), "0" * 64, "m", "q8_0", 1, 8.0, 1, chat_template="{{ 'a' * 3900000 }}"
    )
    with pytest.raises(WeightsError, match="more than 64000000 characters of 20 prompts"):
        ChatTemplate(weights).render([[Message("user", "a")]] * 20)
