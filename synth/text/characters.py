"""Character classes, as one table of bits by code point.

The classes are those of Python (`str.isspace`, `str.isalnum`, …, for its version of Unicode), plus
two lists that web filters use.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from itertools import chain
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

SPACE, WORD, ALPHA, MARK, UNSPACED, SYMBOL, TERMINAL, BREAK, UPPER = (1 << bit for bit in range(9))

# Scripts without spaces, in which each character is a word: Thai, Lao, Burmese, Khmer, kana, Han.
# Ranges of a regular expression's character class.
UNSPACED_RANGES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
MARK_RANGES = (range(0x300, 0x20000), range(0xE0100, 0xE01F0))  # all marks are in these ranges
# A word that consists only of these is not counted as a word. Source: datatrove 0.10,
# utils/text.py, after CCNet; it adds the control characters and `TERMINALS`.
SYMBOLS = (
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
)
CONTROLS = (range(9), range(11, 13), range(13, 32), range(127, 160))
# Characters that end a sentence. Source: Unicode, PropList.txt, Sentence_Terminal, as in datatrove
# 0.10.
TERMINALS = """
0021 002E 003F 0589 061D-061F 06D4 0700-0702 07F9 0837 0839 083D-083E 0964-0965 104A-104B 1362
1367-1368 166E 1735-1736 17D4-17D6 17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F
1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3
A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52 FE56-FE57 FF01 FF0E FF1F
FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 111C5-111C6 111CD
111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642
1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F
16AF5 16B37-16B38 16B44 16E98 1BC9F 1DA88
"""


@cache
def classes() -> NDArray[np.uint16]:
    """The bits of every code point."""

    table = np.zeros(sys.maxunicode + 1, np.uint16)
    codes = np.arange(sys.maxunicode + 1, dtype="<u4").tobytes()
    everything = codes.decode("utf-32-le", "surrogatepass")
    for found in re.finditer(r"\w+", everything):
        table[found.start() : found.end()] |= WORD
    for found in re.finditer(r"\s+", everything):
        table[found.start() : found.end()] |= SPACE
    for found in re.finditer(f"[{UNSPACED_RANGES}]+", everything):
        table[found.start() : found.end()] |= UNSPACED
    in_words = np.flatnonzero(table & WORD)
    characters = [everything[code] for code in in_words.tolist()]
    table[in_words[[*map(str.isalpha, characters)]]] |= ALPHA
    table[in_words[[category(one) == "Lu" for one in characters]]] |= UPPER
    table[marks()] |= MARK | WORD
    table[[ord(character) for character in SYMBOLS]] |= SYMBOL
    table[list(chain.from_iterable(CONTROLS))] |= SYMBOL
    table[terminals()] |= TERMINAL | SYMBOL
    breaks = [code for code in range(0x3000) if len(f"a{chr(code)}a".splitlines()) > 1]
    table[breaks] |= BREAK
    return table


@cache
def lower_cases() -> NDArray[np.uint32]:
    """The lower case of every code point; if it has several characters, the first."""
    table = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    letters = np.flatnonzero(classes() & ALPHA)
    table[letters] = [ord(chr(code).lower()[0]) for code in letters.tolist()]
    return table


@cache
def marks() -> list[int]:
    """The code points that belong to the character before them, such as accents."""
    return [code for code in chain.from_iterable(MARK_RANGES) if category(chr(code))[0] == "M"]


def terminals() -> list[int]:
    """Code points that end a sentence."""
    codes: list[int] = []
    for given in TERMINALS.split():
        first, _, last = given.partition("-")
        codes.extend(range(int(first, 16), int(last or first, 16) + 1))
    return codes


def ranges_of(codes: list[int]) -> str:
    """The sorted code points as ranges of a regular expression's character class."""
    firsts = [code for code, before in zip(codes, [-1, *codes], strict=False) if code != before + 1]
    lasts = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if after != code + 1]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(firsts, lasts, strict=True))
