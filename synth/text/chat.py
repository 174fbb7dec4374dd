"""Finds chat-template tokens in a text, and further turns that a model wrote after its answer.

"… is 11 units.### Human: How do i use pythagoras theorem when …"   ->   "### Human:"
"""

from __future__ import annotations

import re

from synth.text.markdown import without_code

# Source: the chat templates of ChatML, Llama 2 and 3, Mistral, Gemma, DeepSeek, Alpaca, Vicuna.
TOKEN = re.compile(
    r"<[|｜][^<>\n]{1,40}[|｜]>|\[/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS)\]|<</?SYS>>"
    r"|<(?:start|end)_of_turn>|</?think>|</s>"
    r"|#{2,4} ?(?:Human|User|Assistant|Instruction|Response|Input) ?:"
)
ASKER = r"Human|User|Nutzer|Benutzer|Utilisateur|Usuario|用户"
ANSWERER = r"Assistant|Assistent|Asistente|Chatbot|AI|Bot|助手"
LABEL = re.compile(rf"^[*_]{{0,2}}({ASKER}|Assistant)[*_]{{0,2}} ?[:：]", re.MULTILINE)
ANSWERS = re.compile(rf"^[*_]{{0,2}}(?:{ANSWERER})[*_]{{0,2}} ?[:：]", re.MULTILINE)
DIALOGUE = re.compile(
    r"dialog|conversation|chat|interview|transcript|script|role|对话", re.IGNORECASE
)
AGAIN = re.compile(
    r"^(?:Sure|Certainly|Absolutely|Of course)[,!.]? (?:here (?:is|are)|here's) ", re.MULTILINE
)


def template_token(text: str, prompt: str = "") -> str:
    """The first chat-template token outside code that is not in the prompt; "" if there is none."""
    found = TOKEN.finditer(without_code(text)) if TOKEN.search(text) else ()
    return next((token[0] for token in found if token[0] not in prompt), "")


def next_turn(text: str, prompt: str = "") -> str:
    """The label or opener of a further turn after the answer; "" if there is none.

    If the answer itself is a conversation, its first label is at the start or after a line that
    announces it. "User: …" alone may be a glossary entry.
    """
    label = LABEL.search(text)
    if label and (DIALOGUE.search(prompt) or not _goes_on(text, label)):
        label = None
    for turn in (label, AGAIN.search(text, 1)):
        before = text[: turn.start()].rstrip("*_ \n") if turn else ""
        if turn and before and not before.endswith(":") and turn[0] not in prompt:
            return turn[0]
    return ""


def _goes_on(text: str, label: re.Match[str]) -> bool:
    return label[1] in ("Human", "Assistant") or ANSWERS.search(text, label.end()) is not None
