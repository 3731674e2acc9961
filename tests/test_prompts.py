"""Prompts: what a model is shown, what it is not, and what a broken strategy is told."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from experiments.errors import ConfigError
from experiments.prompts import Example, examples, render
from experiments.records import Problem
from experiments.schema import PromptConfig

FOLDER = Path(__file__).parents[1] / "conf" / "prompt"

PROBLEM = Problem(
    id="easy/clip",
    entry_point="clip",
    prompt='def clip(x: int) -> int:\n    """At most 10.\n\n    >>> clip(12)\n    10\n    """\n',
    reference="def clip(x):\n    return min(x, SECRET_TEN)\n",
    base_inputs=(("SECRET_INPUT",),),
    extra_inputs=(("SECRET_EXTRA",),),
    title="Clip a number",
    difficulty="easy",
    topics=("arithmetic",),
)
OTHER = replace(
    PROBLEM, id="easy/other", entry_point="other", prompt='def other(y):\n    """Other."""\n'
)


def strategy(**templates: str) -> PromptConfig:
    return PromptConfig(**{"name": "mine", "user": "{{ problem.prompt }}", **templates})


def shipped(name: str) -> PromptConfig:
    loaded = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{name}.yaml"))
    assert isinstance(loaded, dict)
    return PromptConfig(**{str(key): value for key, value in loaded.items()})


SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_plain_and_cot_are_shipped() -> None:
    assert {"plain", "cot"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
class TestShippedStrategies:
    def test_is_named_like_its_file(self, name: str) -> None:
        assert shipped(name).name == name

    def test_shows_the_statement_and_the_entry_point_and_nothing_secret(self, name: str) -> None:
        (message,) = render(shipped(name), PROBLEM, "chat").messages
        assert message.role == "user"
        assert f"```python\n{PROBLEM.prompt.strip()}\n```" in message.content
        assert "`clip`" in message.content
        assert "SECRET" not in message.content

    def test_prompts_share_their_instructions(self, name: str) -> None:
        texts = [
            render(shipped(name), problem, "chat").messages[0].content
            for problem in (PROBLEM, OTHER)
        ]
        instructions = texts[0][: texts[0].index("```python\ndef")]
        assert len(instructions) > 100
        assert texts[1].startswith(instructions)

    def test_completion_ends_with_the_statement_and_one_newline(self, name: str) -> None:
        prompt = render(
            shipped(name), replace(PROBLEM, prompt=PROBLEM.prompt + "\n\n"), "completion"
        )
        assert prompt.completion.endswith(PROBLEM.prompt)
        assert not prompt.messages

    def test_completion_is_python_with_an_open_function(self, name: str) -> None:
        text = render(shipped(name), PROBLEM, "completion").completion
        compile(text + "    return min(x, 10)\n", "<completion>", "exec")


def test_cot_names_its_steps_in_order() -> None:
    text = render(shipped("cot"), PROBLEM, "chat").messages[0].content
    places = [
        text.index(f"\n{step}:") for step in ("Restate", "Inputs and outputs", "Edge cases", "Plan")
    ]
    assert places == sorted(places)


def test_system_message_comes_first_and_an_empty_one_is_left_out() -> None:
    with_system = render(strategy(system="Be brief, {{ entry_point }}."), PROBLEM, "chat")
    assert [message.role for message in with_system.messages] == ["system", "user"]
    assert with_system.messages[0].content == "Be brief, clip."
    assert [m.role for m in render(strategy(system=" \n"), PROBLEM, "chat").messages] == ["user"]


def test_everything_promised_is_defined() -> None:
    source = "{{ problem.id }} {{ problem.title }} {{ problem.difficulty }} {{ problem.topics[0] }}"
    source += " {{ problem.entry_point }} {{ entry_point }}"
    source += " {{ examples[0].call }}={{ examples[0].expected }}"
    (message,) = render(strategy(user=source), PROBLEM, "chat").messages
    assert message.content == "easy/clip Clip a number easy arithmetic clip clip clip(12)=10"


def test_statement_is_not_read_as_a_template() -> None:
    problem = replace(PROBLEM, prompt="def clip(x):\n    '''{{ 1/0 }} {% raise %} {# #}'''\n")
    (message,) = render(strategy(), problem, "chat").messages
    assert message.content == problem.prompt.strip()


@pytest.mark.parametrize(
    ("templates", "said"),
    [
        (
            {"user": "{{ entry_pont }}"},
            ["'user'", "'mine'", "'entry_pont'", "Did you mean 'entry_point'?"],
        ),
        (
            {"user": "{% if false %}{{ nobody }}{% endif %}x"},
            ["'nobody'", "are: entry_point, examples, problem"],
        ),
        ({"user": "{{ problem.promt }}"}, ["'promt'", "problem has id, title", "easy/clip"]),
        ({"user": "{{ problem.reference }}"}, ["'reference'"]),
        ({"user": "{{ problem.base_inputs }}"}, ["'base_inputs'"]),
        (
            {"user": "x", "system": "{{ problem.prompt"},
            ["'system'", "'mine'", "no Jinja2", "line 1"],
        ),
        ({"user": "{{ 1 / 0 }}"}, ["division by zero", "easy/clip"]),
        ({"user": "{{ problem.__class__.__mro__ }}"}, ["unsafe"]),
        ({"user": "{{ examples[9].call }}"}, ["easy/clip"]),
        ({"user": " \n"}, ["nothing to say", "'user'"]),
    ],
)
def test_broken_strategy_is_told_in_one_line(templates: dict[str, str], said: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        render(strategy(**templates), PROBLEM, "chat")
    line = str(raised.value)
    assert all(part in line for part in said), line
    assert "\n" not in line
    assert "ProblemInfo" not in line


def test_empty_completion_is_told() -> None:
    with pytest.raises(ConfigError, match="'completion' is empty"):
        render(strategy(completion=""), PROBLEM, "completion")


def test_unknown_kind_is_told() -> None:
    with pytest.raises(ConfigError, match=r"'prose'.*chat or completion"):
        render(strategy(), PROBLEM, "prose")  # type: ignore[arg-type]


def test_examples_are_found_with_continuation_lines_and_without_values() -> None:
    statement = '''def f(x):
    """Text.

    >>> f(
    ...     1,
    ... )
    [1,
     2]
    >>> f(2)

    >>> f(3)
    3"""
    '''
    assert examples(statement) == (
        Example("f(\n    1,\n)", "[1,\n 2]"),
        Example("f(2)", ""),
        Example("f(3)", "3"),
    )


@settings(deadline=None)
@given(st.text())
def test_any_statement_can_be_shown(text: str) -> None:
    (message,) = render(
        strategy(user="A {{ problem.prompt }} {{ examples }}"),
        replace(PROBLEM, prompt=text),
        "chat",
    ).messages
    assert text.strip() in message.content
