"""Separates reasoning that stands at the start of an answer from the answer.

"<think>6 * 7 is 42.</think>\\n\\nIt is 42."  ->  "It is 42.", reasoning "6 * 7 is 42."

Used for the teacher's replies and for answers in the user's files.
"""

from __future__ import annotations

import re

OPENED = re.compile(r"\s*<(think|thought)>")
"""The start of reasoning that a server left in the text. Gemini's endpoint writes `thought`."""
CHANNEL, MESSAGE = "<|channel|>", "<|message|>"
BEGINS = (CHANNEL, f"<|start|>assistant{CHANNEL}")
"""The start of a reply in which the server left gpt-oss's channels."""
ENDS = re.compile(r"<\|(?:end|return|call|start)\|>")


def without_reasoning(content: str, reasoning: str | None) -> tuple[str, str | None, bool]:
    """Splits reasoning at the start of the text from the answer.

    Returns the text, the reasoning, and whether the reasoning has an end. If `reasoning` is given,
    which came in a field of its own, it is used and the copy in the text is removed.
    """
    if content.lstrip().startswith(BEGINS):
        final: list[str] = []
        thought: list[str] = []
        for part in content.split(CHANNEL)[1:]:
            name, _, message = part.partition(MESSAGE)
            kept = final if name.split(maxsplit=1)[:1] == ["final"] else thought
            kept.append(ENDS.split(message, maxsplit=1)[0].strip())
        return "\n\n".join(final), reasoning or "\n\n".join(thought) or None, bool(final)
    opened = OPENED.match(content)
    if opened is None and (reasoning or "</think>" not in content):
        return content, reasoning, True
    # some chat templates put the opening tag into the prompt
    tag, begin = (opened[1], opened.end()) if opened else ("think", 0)
    inside, closing, text = content[begin:].partition(f"</{tag}>")
    return text.lstrip(), reasoning or inside.strip() or None, bool(closing)
