"""`chat_tokens`: tokens of a chat template in an answer, or further turns that the model wrote.

`synth.text.chat` does the detection, for generated prompts too.
"""

from __future__ import annotations

from typing import ClassVar

from synth.batch import Batch
from synth.model import Model
from synth.text.chat import next_turn, template_token
from synth.verdicts import Verdicts


class ChatTokens(Model):
    """Rejects an answer that contains template tokens or a next turn. The score is then 1, else 0.

    Accepts tokens and labels that are also in the prompt.
    """

    name: ClassVar[str] = "chat_tokens"
    compared_with: ClassVar[tuple[str | float, ...]] = ()

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
