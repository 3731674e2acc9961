"""Chat templates by name, for GGUFs that carry none.

Each is written to give, for a system message, questions and answers, the text that the
model's makers publish; `tests/test_templates.py` holds that text. What is not rendered here
(tools, functions) is not needed to ask for a program.

Where a model has no system role, its text stands before the first question. A template
begins with `bos_token` where its makers write it; the tokens of a prompt hold it once all
the same.
"""

from __future__ import annotations

from experiments.errors import ConfigError, did_you_mean

# One line each: Jinja2 would keep line ends.
_TURNS = "{% for message in messages %}"
_ASK = "{% if add_generation_prompt %}"

# Without a system role: its text waits in `first.text` for the first question.
_WAITING = "{% set first = namespace(text='') %}" + _TURNS + "{% if message.role == 'system' %}"

CHATML = (
    _TURNS
    + "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
    + _ASK
    + "{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

LLAMA2 = (
    _WAITING
    + "{% set first.text = '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' %}"
    + "{% elif message.role == 'user' %}"
    + "{{ bos_token + '[INST] ' + first.text + message.content | trim + ' [/INST]' }}"
    + "{% set first.text = '' %}"
    + "{% else %}{{ ' ' + message.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)

TEMPLATES = {
    "chatml": CHATML,
    # ChatML with the makers' own words where there is no system message.
    "qwen2_5": (
        "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are Qwen, created by "
        "Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}{% endif %}" + CHATML
    ),
    "mistral": (
        "{{ bos_token }}"
        + _WAITING
        + "{% set first.text = message.content + '\\n\\n' %}{% elif message.role == 'user' %}"
        + "{{ '[INST] ' + first.text + message.content + ' [/INST]' }}{% set first.text = '' %}"
        + "{% else %}{{ message.content + eos_token }}{% endif %}{% endfor %}"
    ),
    "llama2": LLAMA2,
    # The two dates are part of the makers' template; the second is fixed there, too.
    "llama3_1": (
        "{% set system = messages[0].content | trim if messages[0].role == 'system' else '' %}"
        "{{ bos_token + '<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: "
        "December 2023\\nToday Date: 26 Jul 2024\\n\\n' + system + '<|eot_id|>' }}"
        "{% for message in messages if message.role != 'system' %}"
        "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' "
        "+ message.content | trim + '<|eot_id|>' }}{% endfor %}"
        + _ASK
        + "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
    ),
    "zephyr": (
        _TURNS
        + "{{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}{% endfor %}"
        + _ASK
        + "{{ '<|assistant|>\\n' }}{% endif %}"
    ),
    "phi3": (
        _TURNS
        + "{{ '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}{% endfor %}"
        + _ASK
        + "{{ '<|assistant|>\\n' }}{% endif %}"
    ),
    # A system message replaces the makers' words, and no line end follows it: as published.
    "deepseek_coder": (
        "{{ bos_token }}{% if messages[0].role != 'system' %}{{ 'You are an AI programming "
        "assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you "
        "only answer questions related to computer science. For politically sensitive questions, "
        "security and privacy issues, and other non-computer science questions, you will refuse "
        "to answer\\n' }}{% endif %}"
        + _TURNS
        + "{% if message.role == 'system' %}{{ message.content }}{% elif message.role == 'user' %}"
        + "{{ '### Instruction:\\n' + message.content + '\\n' }}{% else %}"
        + "{{ '### Response:\\n' + message.content + '\\n<|EOT|>\\n' }}{% endif %}{% endfor %}"
        + _ASK
        + "{{ '### Response:\\n' }}{% endif %}"
    ),
    "minicpm": (
        _TURNS
        + "{% if message.role == 'user' %}{{ '<用户>' + message.content | trim + '<AI>' }}"
        + "{% else %}{{ message.content | trim }}{% endif %}{% endfor %}"
    ),
}
"""Name, as `model.chat_template` gives it, to Jinja2 source."""


def source(template: str) -> str:
    """Return the Jinja2 source of a template that is given by name or as source.

    Raises:
        ConfigError: a bare word that is no name of a template.
    """
    if template in TEMPLATES:
        return TEMPLATES[template]
    if template.isidentifier():
        raise ConfigError(
            f"There is no chat template '{template}'", did_you_mean(template, TEMPLATES)
        )
    return template
