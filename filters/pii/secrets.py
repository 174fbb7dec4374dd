"""Finds keys, tokens and passwords, by the prefixes that issuers use to make them detectable.

Source: the token formats that GitHub, Stripe, Slack and others document for secret scanning.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from filters.pii.kinds import PiiKind, Span

# Each pattern has a literal key, so most texts cost only a substring search.
TOKENS = {
    "AKIA": r"AKIA[A-Z0-9]{16}\b",  # AWS
    "ASIA": r"ASIA[A-Z0-9]{16}\b",
    "AIza": r"AIza[\w-]{35}",  # Google
    "GOCSPX-": r"GOCSPX-[\w-]{28}",
    "ya29.": r"ya29\.[\w-]{20,}",
    "ghp_": r"ghp_[A-Za-z0-9]{36}",  # GitHub
    "gho_": r"gho_[A-Za-z0-9]{36}",
    "ghu_": r"ghu_[A-Za-z0-9]{36}",
    "ghs_": r"ghs_[A-Za-z0-9]{36}",
    "ghr_": r"ghr_[A-Za-z0-9]{36}",
    "github_pat_": r"github_pat_\w{60,}",
    "glpat-": r"glpat-[\w-]{20,}",  # GitLab
    "xox": r"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    "hooks.slack.com/services/": r"hooks\.slack\.com/services/[\w/]{30,}",
    "sk_live_": r"sk_live_[A-Za-z0-9]{16,}",  # Stripe
    "rk_live_": r"rk_live_[A-Za-z0-9]{16,}",
    "sk_test_": r"sk_test_[A-Za-z0-9]{16,}",
    "sk-ant-": r"sk-ant-[\w-]{24,}",  # Anthropic
    "sk-": r"sk-(?:(?:proj|svcacct|admin|or-v1)-[\w-]{20,}|[A-Za-z0-9]{32,})",  # OpenAI and others
    "hf_": r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    "npm_": r"npm_[A-Za-z0-9]{36}",
    "pypi-": r"pypi-AgE[\w-]{40,}",
    "SG.": r"SG\.[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    "dop_v1_": r"dop_v1_[a-f0-9]{64}",  # DigitalOcean
    "shpat_": r"shpat_[a-fA-F0-9]{32}",  # Shopify
    "sq0": r"sq0[a-z]{3}-[\w-]{22,}",  # Square
    "eyJ": r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",  # JSON Web Token
    ":AA": r"[0-9]{8,10}:AA[\w-]{33}",  # Telegram
    "AccountKey=": r"AccountKey=[A-Za-z0-9+/=]{40,}",  # Azure
    "PRIVATE KEY": r"-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]|-(?!----)){0,20000}+-----END (?:[A-Z]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?",
}
PATTERNS = {
    literal: re.compile(pattern if literal == ":AA" else rf"(?<![\w-]){pattern}")
    for literal, pattern in TOKENS.items()
}
IN_ADDRESS = re.compile(r"://[^\s:/@]{1,64}:([^\s:/@<>{}$]{3,64})@[\w-]")
ASSIGNED = re.compile(r"[:=]>?\s{0,2}[\"']?([^\s\"'<>{}$:=][^\s\"'<>{}$]{7,79})")
ASSIGNS = re.compile(
    r"(?:password|passwd|pwd|secret|api[_ -]?key|access[_ -]?key|token|credentials?)"
    r"(?: is)?[\"'*]{0,3}\s{0,2}$",
    re.IGNORECASE,
)
KEY_CHARS = 30
NO_SECRET = re.compile(r"(?i:your|placeholder|change|xxx|\benv\b)|example|\*\*\*|\.\.\.|[(\[]")
LOWER_RUN = re.compile("[a-z]+")  # "guest", "password": placeholders in examples
FEWEST_BITS = 3.0  # per character; "hunter2hunter2" has 2.8, 16 random letters and digits up to 4


def secrets(text: str) -> Iterator[Span]:
    """Tokens by their prefix, private keys, and passwords in addresses and assignments."""
    for literal, pattern in PATTERNS.items():
        if literal in text:
            yield from (Span(PiiKind.SECRET, *match.span()) for match in pattern.finditer(text))
    if "://" in text and "@" in text:
        for match in IN_ADDRESS.finditer(text):
            if not NO_SECRET.search(match[1]) and not LOWER_RUN.fullmatch(match[1]):
                yield Span(PiiKind.SECRET, *match.span(1))
    for match in ASSIGNED.finditer(text):
        key = text[max(0, match.start() - KEY_CHARS) : match.start()]
        if is_random(match[1]) and ASSIGNS.search(key):
            yield Span(PiiKind.SECRET, *match.span(1))


def is_random(value: str) -> bool:
    """Whether the value looks random: letters and digits with few repeats."""
    if NO_SECRET.search(value) or not (re.search("[A-Za-z]", value) and re.search("[0-9]", value)):
        return False
    total = len(value)
    bits = -sum(n / total * math.log2(n / total) for n in Counter(value).values())
    return bits >= FEWEST_BITS
