"""`chat_tokens`: a chat's machinery in the answer, or turns that the model went on with.

The decision is that of `synth.text.chat`, and prompts are held to it too.
"""

from __future__ import annotations

from typing import ClassVar

from synth.batch import Batch
from synth.model import Model
from synth.text.chat import next_turn, template_token
from synth.verdicts import Verdicts


class ChatTokens(Model):
    """Rejects an answer with template tokens or a next turn in it. The score is 1 for one, else 0.

    What the prompt has too stays.
    """

    name: ClassVar[str] = "chat_tokens"

    def judge(self, batch: Batch) -> Verdicts:
        """`chat_tokens` (`<|im_end|>`) or `next_turn` ("### Human: …"); the note quotes it."""
        reasons: list[str | None] = []
        notes = []
        for text, prompt in zip(batch.texts, batch.prompts, strict=True):
            token = template_token(text, prompt)
            turn = "" if token else next_turn(text, prompt)
            reasons.append("chat_tokens" if token else "next_turn" if turn else None)
            notes.append(token or turn)
        return Verdicts(reasons, [float(reason is not None) for reason in reasons], notes)
