"""Detects the language of a text, with the naive Bayes model in py3langid's wheel."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from synth.text.markdown import without_blocks

# The two-letter labels of the model. Its other labels are mostly dialects and creoles of these, and
# it often gives them to short texts.
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
NO_LANGUAGE = "zxx"  # code, sums, names
READ_CHARS = 600  # reading more improves 2 in 1,000 decisions and takes twice the time
FEWEST_LETTER_BYTES = 30  # in UTF-8, so that ten Chinese characters suffice
SURE = 0.9  # for "Lütfen iki örnek ver." (20 bytes) the model gives 0.8, and it is right
UNLIKELY = 0.01  # English gets 0.04 for "Explain NATO", and 0.0001 for four words of Turkish
NOT_PROSE = re.compile(r"\$\$.*?(?:\$\$|\Z)|https?://\S+", re.DOTALL)


def language(text: str) -> str | None:
    """The ISO 639-1 code of the text's language. None if the text is short, is code, or the model
    is unsure."""
    likely = probabilities(text)
    best = max(likely, key=lambda code: likely[code], default=None)
    return best if best is not None and len(best) == 2 and likely[best] >= SURE else None


def may_be(text: str, code: str) -> bool:
    """Whether the text may be in the language. A text without letters may be in any."""
    likely = probabilities(text, fewest=1)
    return not likely or likely.get(code, 0.0) >= UNLIKELY


def probabilities(text: str, *, fewest: int = FEWEST_LETTER_BYTES) -> dict[str, float]:
    """The probability of each language; empty if the text has fewer bytes of letters."""
    text = without_blocks(text[: 10 * READ_CHARS], " ")
    text = NOT_PROSE.sub(" ", text)[:READ_CHARS]
    letters = "".join(filter(str.isalpha, text))
    if len(letters.encode(errors="replace")) < fewest:
        return {}
    return dict(_identifier().rank(text))


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415  loads a model

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*LANGUAGES, NO_LANGUAGE])
    return identifier
