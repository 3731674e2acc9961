"""What belongs to the chat and not to the answer."""

import re

_SURROGATES = re.compile("[\ud800-\udfff]")

# Each only where a line begins or ends: `"</s>"` within a line is HTML in a string.
_TURN_ENDS = (
    r"<\|(?:im_end|eot_id|end|endoftext|end_of_text|end_of_turn|eom_id)\|>|<end_of_turn>|</s>"
    r"|<｜end▁of▁sentence｜>|<\|EOT\|>"
)
_TURN_END = re.compile(rf"^[ \t]*(?:{_TURN_ENDS})|(?:{_TURN_ENDS})[ \t]*$", re.MULTILINE)
_TURN_START = re.compile(
    r"^[ \t]*(?:<s>|<bos>|<\|begin_of_text\|>|\[/?INST\]|<\|assistant\|>"
    r"|<\|im_start\|>[ \t]*assistant|<start_of_turn>[ \t]*model"
    r"|<\|start_header_id\|>[ \t]*assistant[ \t]*<\|end_header_id\|>)+[ \t]*",
    re.MULTILINE,
)
_THOUGHT = "</think>"


def normalised(text: str) -> str:
    r"""Return the text with `\n` at line ends and without what Python source cannot hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\ufeff", "")
    return _SURROGATES.sub("\ufffd", text)


def answer_part(text: str) -> str:
    """Return the model's own turn, without thoughts that it closed.

    The turn ends at the first token that ends turns: what follows is another turn, made up.
    """
    text = _TURN_START.sub("", text)
    for end in _TURN_END.finditer(text):
        before = text[: end.start()]
        if before.strip():
            text = before
            break
    thoughts, closed, rest = text.rpartition(_THOUGHT)
    if closed and rest.strip():
        return rest
    return thoughts + "\n" + rest if closed else text
