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


def normalised(text: str) -> str:
    r"""Return the text with `\n` at line ends and without what Python source cannot hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\ufeff", "")
    return _SURROGATES.sub("\ufffd", text)


def own_turn(text: str, is_begin: bool = True) -> tuple[str, bool]:
    """Return the model's own turn, up to the first token that ends turns, and if there is one.

    Args:
        text: what the model wrote, or a part of it.
        is_begin: nothing stands before it, so that a token at its head ends nothing yet.
    """
    text = _TURN_START.sub("", text)
    for end in _TURN_END.finditer(text):
        before = text[: end.start()]
        if before.strip() or not is_begin:
            return before, True
    return text, False
