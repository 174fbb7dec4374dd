"""Writes the report's page: one HTML file that needs no network and runs only our scripts.

Python writes no text of a row as HTML. The page has it as JSON, and `page.js` makes text nodes of
it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from pathlib import Path

import yaml

from flows.preview_page import STYLE
from flows.report.examples import ACCEPTED, OF_EACH_REASON, Example, in_page
from flows.report.summary import RunSummary
from synth.store.manifest import Manifest
from synth.teacher.wire import without_keys

FOLDER = Path(__file__).parent
SCRIPTS = ("vendor/d3.min.js", "vendor/plot.umd.min.js", "page.js")


def page(summary: RunSummary, manifests: Sequence[Manifest], examples: Sequence[Example]) -> bytes:
    """Returns the HTML document."""
    scripts = [(FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS]
    own = (FOLDER / "page.css").read_text(encoding="utf-8")
    data = in_page(
        {
            "summary": summary.model_dump(mode="json"),
            "settings": _settings(manifests),
            "rows": examples,
            "sampling": _sampling(summary, examples),
        }
    ).decode()
    title = escape(f"Report of {summary.name}")
    # The policy lets only these scripts run and lets nothing load, even if a text became markup.
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{STYLE}{own}</style>\n"
        f'<body>\n<h1>{title}</h1>\n<nav aria-label="Sections"></nav>\n<main></main>\n'
        f'<script type="application/json" id="data">{data}</script>\n'
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body>\n</html>\n"
    ).encode()


def _digest(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()


def _settings(manifests: Sequence[Manifest]) -> str:
    found = {one.label: one.settings for one in manifests}
    return without_keys(yaml.safe_dump(found, sort_keys=False, allow_unicode=True))


def _sampling(summary: RunSummary, examples: Sequence[Example]) -> str:
    rejected = sum(stage.rows_rejected for stage in summary.stages)
    accepted = summary.measures.accepted if summary.measures else 0
    every = summary.measures.texts_every if summary.measures else 1
    some = f" The accepted ones are of one shard in {every:,}." if every > 1 else ""
    return (
        f"A sample: {len(examples):,} of {accepted + rejected:,} rows, with at most {ACCEPTED:,} "
        f"accepted ones and {OF_EACH_REASON:,} for each reason of each stage.{some} Rows are drawn "
        "by id, a hash of the content, so the same run gives the same sample. Long texts are cut."
    )
