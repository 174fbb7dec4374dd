"""Finds phone numbers, by a form that only they have or by words before them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from filters.pii.kinds import PiiKind, Span
from filters.pii.numbers import before

EXTENSION = r"(?:\s?(?:x|ext\.?)\s?[0-9]{1,6}\b)?"
# +44 20 7946 0958, +41 (0)96 471 07 95, 001-253-366-9781: the country code is proof enough.
INTERNATIONAL = re.compile(
    r"(?:\(?\+|(?<![0-9.])00(?=(?:[^0-9]{0,2}[0-9]){8}))[1-9]"
    r"(?:[ ./-]?\(?[0-9]{1,5}\)?){2,7}(?![0-9])" + EXTENSION
)
# (602)272-9781, 345-899-3560x4587, 1-800-662-HELP. Source: the North American Numbering Plan.
AMERICAN = re.compile(
    r"(?<![0-9.,/-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}([.-]))[0-9]{3}"
    r"(?:\1|[.-])(?:[0-9]{4}(?![0-9])|[A-Z]{4}\b)" + EXTENSION
)
# 0345 854 7777, 03.93.92.16.85: a trunk prefix and groups with one kind of separator.
TRUNK = re.compile(
    r"(?<![0-9.,/-])\(?0[1-9][0-9]{0,3}\)?([ .-])[0-9]{2,4}(?:\1[0-9]{2,4}){1,3}(?![0-9])"
    + EXTENSION
)
# The form of a number that words announce: 7 to 15 digits in a few groups.
ANNOUNCED = re.compile(
    r"(?<![0-9.,/$\u20ac\u00a3#-])\(?[0-9]{1,15}\)?"
    r"(?:(?:[ ./-]{1,2}|(?<=\)))\(?[0-9]{1,10}\)?){0,6}(?![0-9])" + EXTENSION
)
DIGITS = range(7, 16)  # the maximum is from ITU-T E.164; local numbers have at least seven
SURE = (
    (INTERNATIONAL, range(8, 18)),
    (AMERICAN, DIGITS),
    (TRUNK, range(9, 13)),  # a date has eight
)
BEFORE_NONE = re.compile(r"[^\W\d]|[$\u20ac\u00a3#]|[\w)*](?=\+)")  # names, prices, sums
ABOUT_PHONES = re.compile(
    r"\b(?:(?:tele)?phones?|tel|mobiles?|cell(?:phone)?|fax|landline|hotline|helpline|whatsapp|"
    r"call(?:ed|ing)?|dial(?:ed|ing)?|ring|rang|text(?:ed)?|sms|voicemail)\b\.?"
    r"(?:[^0-9.!?]|[.!?](?!\s)){0,40}$"
    # these words count only directly before the number: "Desk: …", "reach me at …"
    r"|\bcontacts?\s?:[^0-9.!?]{0,40}$"
    r"|\b(?:desk|office|home|work|direct)\s{0,2}:\s{0,2}$"
    r"|\b(?:my|our|his|her|their) (?:(?:new|old|private) )?number(?: is)?\W{0,3}$"
    r"|\b(?:reach|contact|answer(?:ed|ing)?|messages?)\b[^0-9.!?\n]{0,20}\b(?:at|on|to)\W{0,3}$",
    re.IGNORECASE,
)
# "call 555 0123 or 555 0124": the words announce the second as well.
AND_ANOTHER = re.compile(r"[0-9(][0-9 ().-]{5,18}(?:,|;|&|\bor\b|\band\b)\s?$", re.IGNORECASE)
SAID_AFTER = re.compile(
    r"\W{0,3}(?:(?:tel|phone|mobile|cell|fax|office|home|work|desk)\b"
    r"|is (?:my|our|his|her|their) (?:\w+ )?number)",
    re.IGNORECASE,
)
NO_PHONE = re.compile(
    r"(?:1[5-9]|20)[0-9]{2}\W(?:1[5-9]|20)[0-9]{2}"  # years, from and to
    r"|[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}.*|[0-9]{1,2}[-./][0-9]{1,2}[-./](?:[0-9]{2}){1,2}"
    r"|[0-9]{1,3}(?:\.[0-9]{3})+|\+?[0-9]+\.[0-9]+"  # a number with points
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}"  # an IP address
    r"|[01 ]+"  # a binary number
    r"|[1-9][0-9 ]*/.*|[1-9][0-9]*000[ -].*"  # a division or a difference
)


def phones(text: str, run: re.Match[str]) -> Iterator[Span]:
    """Phone numbers in a run of digits, including extensions."""
    start, end = run.span()
    while start and text[start - 1] in "+(":
        start -= 1
    if start and BEFORE_NONE.match(text, start - 1):
        return
    for form, digits in SURE:
        matches = [m for m in form.finditer(text, start, end + 10) if m.start() < end]
        sure = [m for m in matches if count(m) in digits and not NO_PHONE.fullmatch(m[0])]
        if sure:
            yield from (Span(PiiKind.PHONE, *match.span()) for match in sure)
            return
    match = ANNOUNCED.match(text, start)
    if (
        match is not None
        and count(match) in DIGITS
        and not NO_PHONE.fullmatch(match[0])
        and (is_announced(before(text, start)) or SAID_AFTER.match(text, match.end()))
    ):
        yield Span(PiiKind.PHONE, *match.span())


def is_announced(words: str) -> bool:
    """Whether the words before a number say that a phone number follows."""
    return bool(ABOUT_PHONES.search(words) or ABOUT_PHONES.search(AND_ANOTHER.sub("", words)))


def count(match: re.Match[str]) -> int:
    """The number of digits, without the extension."""
    number = re.split(r"\s?(?:x|ext)", match[0])[0]
    return sum(character.isdigit() for character in number)
