"""The kinds of constraint that `evolve` attaches, with their parameters and wordings.

    Drawn(Instruction("length_constraints:number_sentences", {"relation": "less than",
                      "num_sentences": 6}), "Answer in fewer than 6 sentences.")

Source: IFEval (arXiv:2311.07911, appendix) for names, parameters and meanings. Its language family,
letter counts and keyword counts are checked if a row has them, but never attached.
"""

# ruff: noqa: E501  a wording is a line
from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from synth.instructions.attached import Instruction
from synth.text.domain import Domain


class Aspect(StrEnum):
    """The aspect of an answer that a constraint limits; two on one aspect may contradict."""

    LENGTH = "length"
    FORM = "form"
    CASE = "case"
    OPENING = "opening"
    ENDING = "ending"
    COMMAS = "commas"
    VOCABULARY = "vocabulary"


ALL: Final = frozenset(Aspect)
Draw = Callable[[random.Random, str], Mapping[str, Any]]
"""(chance, prompt) -> the parameters."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A constraint and the sentence that states it."""

    instruction: Instruction
    sentence: str


def _none(_chance: random.Random, _prompt: str) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of constraint. Each wording has a placeholder for every parameter."""

    id: str
    about: frozenset[Aspect]
    wordings: tuple[str, ...]
    parameters: Draw = _none
    also_for: frozenset[Domain] = frozenset()
    """Domains whose prompts it also suits; every family suits prompts without a domain."""
    short: Draw | None = None
    """Its parameters for an answer of one to three sentences; None if it does not suit such answers
    or a small model cannot follow it. Successes of SmolLM2-135M in six tries: 5 fewer than, 3 at
    least, 3 title, 2 bullets, 2 forbidden words, 1 keywords, 1 no commas, 0 JSON, 0 lowercase,
    0 capitals."""
    keeps_answer: bool = False
    """Whether the final answer keeps its form and place, so that `verify` still finds it."""

    def draw(self, chance: random.Random, prompt: str, *, short: bool = False) -> Drawn:
        """Draws parameters (for a short answer with `short`) and a wording."""
        given = (self.short if short and self.short else self.parameters)(chance, prompt)
        words = {name: _in_words(value) for name, value in given.items()}
        return Drawn(Instruction(self.id, given), chance.choice(self.wordings).format(**words))


# Plain words that few prompts are about but any answer can use.
KEYWORDS: Final = (
    "balance", "bridge", "compass", "contrast", "corner", "detail", "evening", "garden", "glance",
    "habit", "harvest", "kitchen", "ladder", "lantern", "mirror", "morning", "neighbour", "pattern",
    "patience", "practice", "puzzle", "remedy", "rhythm", "season", "shadow", "signal", "thread",
    "threshold", "treasure", "window",
)  # fmt: skip
# Words that answers often use but do not need.
AVOIDABLE: Final = (
    "actually", "basically", "certainly", "crucial", "delve", "essential", "finally", "however",
    "important", "indeed", "moreover", "obviously", "overall", "really", "simply", "therefore",
    "ultimately", "various", "very",
)  # fmt: skip
END_PHRASES: Final = (
    "That is all there is to say.", "Is there anything else?", "The rest is up to you.",
    "Let that be enough for today.", "Here the matter rests.", "Now it is your turn.",
    "So much for this question.", "I hope that settles it.",
)  # fmt: skip


def _in_words(value: object) -> str:
    """A parameter as written in a sentence; a list becomes `"a" and "b"`."""
    return " and ".join(f'"{one}"' for one in value) if isinstance(value, list) else str(value)


def _count(name: str, low: int, high: int, step: int = 1, **more: str) -> Draw:
    return lambda chance, _prompt: more | {name: chance.randrange(low, high + 1, step)}


def _two_of(name: str, choices: tuple[str, ...]) -> Draw:
    def draw(chance: random.Random, prompt: str) -> Mapping[str, Any]:
        text = prompt.lower()
        return {name: chance.sample([one for one in choices if one not in text], 2)}

    return draw


FAMILIES: Final = (
    Family(
        "length_constraints:number_words",
        frozenset({Aspect.LENGTH}),
        (
            "Answer in at least {num_words} words.",
            "The answer should have at least {num_words} words.",
            "Give an answer of no fewer than {num_words} words.",
        ),
        _count("num_words", 80, 240, 20, relation="at least"),
        short=_count("num_words", 20, 40, 5, relation="at least"),
    ),
    Family(
        "length_constraints:number_words",
        frozenset({Aspect.LENGTH}),
        (
            "Answer in fewer than {num_words} words.",
            "Keep the whole answer under {num_words} words.",
            "The answer should have less than {num_words} words.",
        ),
        _count("num_words", 60, 160, 10, relation="less than"),
        short=_count("num_words", 30, 60, 5, relation="less than"),
        keeps_answer=True,
    ),
    Family(
        "length_constraints:number_sentences",
        # without capitals, sentences cannot be told apart
        frozenset({Aspect.LENGTH, Aspect.FORM, Aspect.CASE}),
        (
            "Answer in at least {num_sentences} sentences.",
            "The answer should contain at least {num_sentences} sentences.",
            "Give an answer of no fewer than {num_sentences} sentences.",
        ),
        _count("num_sentences", 4, 12, relation="at least"),
        short=_count("num_sentences", 2, 3, relation="at least"),
    ),
    Family(
        "length_constraints:number_sentences",
        frozenset({Aspect.LENGTH, Aspect.FORM, Aspect.CASE}),
        (
            "Answer in fewer than {num_sentences} sentences.",
            "The answer should have less than {num_sentences} sentences.",
            "Keep the whole answer under {num_sentences} sentences.",
        ),
        _count("num_sentences", 4, 9, relation="less than"),
        short=_count("num_sentences", 3, 5, relation="less than"),
        keeps_answer=True,
    ),
    Family(
        "length_constraints:number_paragraphs",
        frozenset({Aspect.LENGTH, Aspect.FORM}),
        (
            "Write {num_paragraphs} paragraphs, separated by the markdown divider ***.",
            "The answer should have exactly {num_paragraphs} paragraphs with the divider *** between them.",
            "Divide the answer into {num_paragraphs} paragraphs by lines that hold *** and nothing else.",
        ),
        _count("num_paragraphs", 2, 5),
    ),
    Family(
        "detectable_format:number_bullet_lists",
        frozenset({Aspect.FORM, Aspect.LENGTH}),
        (
            "The answer must contain exactly {num_bullets} bullet points in markdown, such as: * This is a point.",
            "Use exactly {num_bullets} bullet points, each on a line that begins with an asterisk.",
            "Give exactly {num_bullets} bullet points, no more and no fewer, marked with * or -.",
        ),
        _count("num_bullets", 3, 6),
        short=_count("num_bullets", 2, 3),
    ),
    Family(
        "detectable_format:number_highlighted_sections",
        frozenset({Aspect.FORM}),
        (
            "Highlight at least {num_highlights} sections of the answer in markdown, i.e. *highlighted section*.",
            "Highlight at least {num_highlights} phrases of the answer with asterisks, *like this*.",
            "In the answer, highlight at least {num_highlights} parts between asterisks, *such as this*.",
        ),
        _count("num_highlights", 2, 4),
    ),
    Family(
        "detectable_format:title",
        frozenset({Aspect.OPENING}),
        (
            "The answer must have a title wrapped in double angular brackets, such as <<title>>.",
            "Open with a title wrapped in double angular brackets, for example <<A Fine Day>>.",
            "Give the answer a title enclosed in double angular brackets, i.e. <<title>>.",
        ),
        also_for=frozenset({Domain.CODE, Domain.MATHS}),
    ),
    Family(
        "detectable_format:json_format",
        ALL,
        (
            "The entire answer should be one valid JSON object.",
            "Answer in valid JSON, with keys of your own choice.",
            "Your entire answer must be wrapped in JSON format, with nothing around it.",
        ),
    ),
    Family(
        "detectable_content:postscript",
        frozenset({Aspect.ENDING}),
        (
            "At the end of the answer, add a postscript starting with {postscript_marker}",
            "Add a postscript that begins with {postscript_marker} after the last paragraph.",
            "Close with a postscript which starts with {postscript_marker} and fits on one line.",
        ),
        lambda chance, _prompt: {"postscript_marker": chance.choice(("P.S.", "P.P.S"))},
        also_for=frozenset({Domain.CODE}),
    ),
    Family(
        "keywords:existence",
        frozenset({Aspect.VOCABULARY}),
        (
            "Include the keywords {keywords} in the answer.",
            "Use the words {keywords} somewhere in the answer.",
            "Include both the words {keywords} in your answer.",
        ),
        _two_of("keywords", KEYWORDS),
        also_for=frozenset({Domain.MATHS}),
    ),
    Family(
        "keywords:forbidden_words",
        frozenset({Aspect.VOCABULARY}),
        (
            "Do not use the words {forbidden_words} in the answer.",
            "The words {forbidden_words} must not appear in the answer.",
            "Whatever else you say, never use the words {forbidden_words} in your answer.",
        ),
        _two_of("forbidden_words", AVOIDABLE),
        short=_two_of("forbidden_words", AVOIDABLE),
        keeps_answer=True,
    ),
    Family(
        "change_case:english_lowercase",
        frozenset({Aspect.CASE}),
        (
            "The entire answer should be in lowercase letters.",
            "Write your entire answer in all lowercase letters, names included.",
            "Keep the whole answer in lowercase, even where a sentence begins.",
        ),
    ),
    Family(
        "change_case:english_capital",
        frozenset({Aspect.CASE}),
        (
            "The entire answer should be in capital letters.",
            "Write your entire answer in capital letters only, names and titles too.",
            "Put the whole answer in uppercase, from the first letter to the last.",
        ),
    ),
    Family(
        "punctuation:no_comma",
        frozenset({Aspect.COMMAS}),
        (
            "Do not use any commas in the answer.",
            "Write the whole answer without using any commas.",
            "Avoid using any commas, wherever one would usually stand.",
        ),
        also_for=frozenset({Domain.MATHS}),
        short=_none,
        keeps_answer=True,
    ),
    Family(
        "startend:end_checker",
        frozenset({Aspect.ENDING, Aspect.CASE}),
        (
            'Finish the answer with this exact phrase: "{end_phrase}"',
            'End your answer with the exact words "{end_phrase}" and let nothing follow them.',
            'Close the answer with this exact sentence: "{end_phrase}" No other words should follow it.',
        ),
        lambda chance, _prompt: {"end_phrase": chance.choice(END_PHRASES)},
        also_for=frozenset({Domain.CODE}),
        short=lambda chance, _prompt: {"end_phrase": chance.choice(END_PHRASES)},
    ),
    Family(
        "startend:quotation",
        frozenset({Aspect.OPENING, Aspect.ENDING}),
        (
            "Wrap the entire answer with double quotation marks.",
            "Wrap your whole answer in double quotation marks, from the first word to the last.",
            "The answer should stand between quotation marks: wrap the entire answer in double quotation marks.",
        ),
        short=_none,
    ),
)
