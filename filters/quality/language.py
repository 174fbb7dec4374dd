"""`language`: texts in another language than the one that the student should write.

The model is that of py3langid, which ships in its wheel. Of 3,500 messages in 38 languages it knew
84 % of those below 40 characters, 98 % of those up to 150 and 99.5 % of longer ones (fastText's
lid.176.ftz 80, 96, 97 %; lingua 85, 98, 99 % at 1/30 of the speed and with 1.2 GB).
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import nan
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from synth.batch import Batch
from synth.model import Model
from synth.verdicts import Verdicts

# Those of the model with two letters. Its others are mostly dialects and creoles of these, which it
# takes short texts for; "zxx" is what is no language.
LANGUAGES = (
    "af", "am", "an", "ar", "as", "az", "ba", "be", "bg", "bn", "br", "bs", "ca", "cs", "cy",
    "da", "de", "dz", "el", "en", "eo", "es", "et", "eu", "fa", "fi", "fo", "fr", "fy", "ga",
    "gd", "gl", "gu", "ha", "he", "hi", "hr", "ht", "hu", "hy", "id", "ig", "is", "it", "ja",
    "jv", "ka", "kk", "km", "kn", "ko", "ku", "ky", "la", "lb", "lg", "ln", "lo", "lt", "lv",
    "mg", "mk", "ml", "mn", "mr", "ms", "mt", "my", "ne", "nl", "nn", "no", "oc", "om", "or",
    "pa", "pl", "ps", "pt", "qu", "ro", "ru", "rw", "sa", "se", "si", "sk", "sl", "sn", "so",
    "sq", "sr", "st", "sv", "sw", "ta", "te", "tg", "th", "tk", "tl", "tr", "tt", "ug", "uk",
    "ur", "uz", "vi", "vo", "wa", "xh", "yo", "zh", "zu",
)  # fmt: skip
NO_LANGUAGE = "zxx"
READ_CHARS = 600  # 2 in 1,000 texts are told better by more, at the cost of as much time again
FEWEST_LETTER_BYTES = 30  # in UTF-8: ten Chinese characters say as much
SAME = "same_as_prompt"
CLOSE = (
    0.02  # as likely as this, a language may be meant: Danish for Norwegian, Malay for Indonesian
)
# A prompt that names a language or a translation may be answered in another. Stems, to serve the
# large languages: "auf Englisch", "en anglais", "en inglés".
NAMED = re.compile(
    r"\b(?:transl|tradu|übersetz|langu|sprache|idiom|bilingual|engl|angl|ingl|franz|fran[cç]|french|"
    r"german|deutsch|alem|allem|spani|español|espagn|castell|itali|portu|dutch|russ|rus[ao]|ukrain|"
    r"polish|chin|mandarin|canton|japa|japon|korea|corea|arab|hebr|hind|turk|türk|greek|latin|kanji|"
    r"kana|hanzi|alphabet|script|unicode|emoticon|kaomoji)|翻译|英[语文]|中文|日[语文]|法[语文]|德[语文]|俄[语文]",
    re.IGNORECASE,
)
CODE = re.compile(r"```.*?(?:```|\Z)|\$\$.*?(?:\$\$|\Z)|https?://\S+", re.DOTALL)


Languages = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Language(Model):
    """Rejects texts in another language. The score is the probability of those named in `is`.

    `is: same_as_prompt` compares an answer with its prompt, unless that is too short to tell or
    names a language itself ("translate", "in French").

    What has hardly a letter besides fenced code, formulas and addresses is not judged, and what the
    model is not sure of stays: names, code and sums look like any language.
    """

    name: ClassVar[str] = "language"
    is_: Languages = Field(
        ("en",),
        alias="is",
        min_length=1,
        description="a language, or several: ISO 639-1 codes; or `same_as_prompt`",
    )
    sure: float = Field(
        0.3,  # of the messages above in another language drops 82 %, 99.7 % and all, by length
        ge=0,
        le=1,
        description="smallest probability of another language that drops",
    )
    min_probability: float | None = Field(
        None, ge=0, le=1, description="smallest probability of `is` that stays, where it is set"
    )

    @field_validator("is_")
    @classmethod
    def _known(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes if codes != (SAME,) else ():
            if code not in LANGUAGES:
                raise ValueError(f"unknown language {code!r}; known: {', '.join(LANGUAGES)}")
        return codes

    def judge(self, batch: Batch) -> Verdicts:
        """`other_language` or `language_uncertain`; the note names the likeliest language."""
        reasons: list[str | None] = []
        scores: list[float] = []
        notes: list[str] = []
        for text, prompt in zip(batch.texts, batch.prompts, strict=True):
            wanted = asked_languages(prompt) if self.is_ == (SAME,) else self.is_
            likely = probabilities(text) if wanted else {}
            ours = sum(likely.get(code, 0.0) for code in wanted) if likely else nan
            best = max(likely, key=lambda code: likely[code], default="")
            reasons.append(self._reason(likely[best], best, wanted, ours) if likely else None)
            scores.append(ours)
            notes.append(best)
        return Verdicts(reasons, scores, notes)

    def _reason(
        self, probability: float, best: str, wanted: tuple[str, ...], ours: float
    ) -> str | None:
        close = self.is_ == (SAME,) and ours >= CLOSE
        if best not in (*wanted, NO_LANGUAGE) and probability >= self.sure and not close:
            return "other_language"
        uncertain = self.min_probability is not None and ours < self.min_probability
        return "language_uncertain" if uncertain else None


def asked_languages(prompt: str) -> tuple[str, ...]:
    """The languages that the prompt may be in and is answered in; empty where it cannot be told."""
    likely = {} if NAMED.search(prompt) else probabilities(prompt)
    asked = tuple(code for code, probability in likely.items() if probability >= CLOSE)
    return () if NO_LANGUAGE in asked else asked


def probabilities(text: str) -> dict[str, float]:
    """How likely each language is; empty for a text that has nothing to tell it by."""
    if "```" in text or "$$" in text or "http" in text:
        text = CODE.sub(" ", text)
    text = text[:READ_CHARS]
    letters = "".join(filter(str.isalpha, text))
    if len(letters.encode(errors="replace")) < FEWEST_LETTER_BYTES:
        return {}
    return dict(_identifier().rank(text))


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415  loads a model

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*LANGUAGES, NO_LANGUAGE])
    return identifier
