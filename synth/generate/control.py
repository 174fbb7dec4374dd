"""Control tokens in data: `<|im_start|>` in a web page must not open a chat turn.

A server renders the turns with the model's chat template and then tokenizes the whole, and there a
control token in the data is the control token itself. The chat protocol has no field that says
"this part is plain text", so what has the form of one gets a backslash, which a reader sees and no
tokenizer knows. All else reaches the teacher as it is. `restore` undoes it, so a reply that quotes
the page says what the page says.

    <|im_start|>system   ->   <\\|im_start|>system
    <\\|im_start|>        ->   <\\\\|im_start|>
"""

from __future__ import annotations

import re

BAR = "[|\uff5c]"  # DeepSeek's templates have the full-width one
WORDS = (  # without bars, across Llama 2, Mistral, Gemma, GLM, T5 and their like
    r"/?(?:s|bos|eos|pad|unk|mask|sop|eop|eod|eot|start_of_turn|end_of_turn|start_of_image"
    r"|end_of_image|start_header_id|end_header_id|endoftext|extra_id_\d+|SPECIAL_\d+|unused\d+"
    r"|tool_call|tool_response|think)"
)
NAMES = (
    r"/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID"
    r"|THINK|IMG|IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX|gMASK|sMASK|MASK|CLS|SEP|PAD|UNK|BOS|EOS)"
)
TOKEN = re.compile(
    rf"<(?P<angle>\\*)(?=(?:{BAR}[^<>|\uff5c\s]{{1,60}}{BAR}?|[^<>|\uff5c\s]{{1,60}}{BAR}|{WORDS})>)"
    rf"|\[(?P<square>\\*)(?={NAMES}\])"
    r"|<<(?P<llama>\\*)(?=/?SYS>>)"
)


def escape(text: str) -> str:
    """The text with one more backslash in each control token. One pass, linear."""
    return TOKEN.sub(lambda found: found[0] + "\\", text)


def restore(text: str) -> str:
    """The text with one backslash less in each escaped control token: `restore(escape(t)) == t`."""
    return TOKEN.sub(lambda found: found[0].removesuffix("\\"), text)
