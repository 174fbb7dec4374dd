"""The preview as one HTML file, without scripts or network requests, all text escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from flows.conversation import exchange_title
from flows.samples import Fate, Trip
from flows.terminal import stage_in_words
from synth.engine.replay import Exchange
from synth.store.manifest import Manifest
from synth.tool_calls import with_calls

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fcfcfa; --line: #d5d5cf;
  --dim: #666; --good: #1a7f37; --bad: #b35900; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e4e0; --paper: #161616; --line: #3a3a3a;
  --dim: #a0a0a0; --good: #57c274; --bad: #f0a050; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .5rem 1rem; margin: 1rem 0; }
details details { margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; margin: .25rem 0 .75rem;
  padding-left: .75rem; border-left: 3px solid var(--line); }
table { border-collapse: collapse; width: 100%; }
td { border-bottom: 1px solid var(--line); padding: .3rem .75rem .3rem 0; vertical-align: top;
  overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
.dim { color: var(--dim); } .kept { color: var(--good); } .rejected { color: var(--bad); }
"""


def page(
    name: str,
    trips: Sequence[Trip],
    whole: Trip,
    exchange: Exchange | None,
    columns: Mapping[str, str],
    manifests: Sequence[Manifest],
) -> str:
    """Returns the HTML document. `exchange` and `columns` belong to the trip `whole`."""
    others = [trip for trip in trips if trip is not whole]
    first = _trip(whole, _sent(exchange) + _columns(columns), opened=True)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Preview of {escape(name)}</title>\n<style>{STYLE}</style>\n"
        f"<h1>Preview of {escape(name)}</h1>\n"
        f"{_funnel(manifests)}{first}{''.join(_trip(trip) for trip in others)}</html>\n"
    )


def _funnel(manifests: Sequence[Manifest]) -> str:
    rows, before = [], None
    for manifest in manifests:
        words = "; ".join(
            f'<span class="rejected">{escape(words)}</span>' if style else escape(words)
            for words, style in stage_in_words(before, manifest)
        )
        rows.append(f"<tr><td>{escape(manifest.label)}<td>{words}")
        before = manifest
    return f"<table>{''.join(rows)}</table>\n"


def _trip(trip: Trip, more: str = "", *, opened: bool = False) -> str:
    kept = sum(fate.kept for fate in trip.fates)
    fates, prompt = [], trip.text
    for fate in trip.by_prompt:
        fates.append(_fate(fate, fate.prompt if fate.prompt != prompt else ""))
        prompt = fate.prompt or prompt
    return (
        f"<details{' open' if opened else ''}><summary>{escape(trip.text[:200])} "
        f'<span class="dim">{kept} of {len(trip.fates)} kept</span></summary>'
        f"{_text(trip.text)}{more}{''.join(fates)}</details>\n"
    )


def _fate(fate: Fate, prompt: str) -> str:
    """The row with its verdict, and its prompt unless that is shown above."""
    state, where = ("kept", "") if fate.kept else ("rejected", f"{fate.stage}: ")
    notes = "; ".join(filter(None, [fate.checks, fate.gold and f"gold: {fate.gold}"]))
    raw = fate.record.get("raw")
    above = f'<p class="dim">prompt</p>{_text(prompt)}' if prompt else ""
    if above and fate.answer:
        above += '<p class="dim">answer</p>'
    return (
        f'<p><span class="{state}">{escape(where + fate.verdict)}</span> '
        f'<span class="dim">{escape(notes)}</span></p>'
        f"{above}{_text(fate.answer)}"
        f"{_folded('raw reply', _text(raw)) if raw and raw != fate.record['text'] else ''}"
    )


def _sent(exchange: Exchange | None) -> str:
    if exchange is None:
        return ""
    request = exchange.request
    turns = request.messages if request.prompt is None else ()
    body = "".join(
        f'<p class="dim">{escape(turn["role"])}</p>'
        f"{_text(with_calls(turn['content'] or '', turn.get('tool_calls')))}"
        for turn in turns
    )
    return _folded(f"prompt as sent, {exchange_title(request)}", body or _text(request.prompt))


def _columns(columns: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><td>{escape(k)}<td>{_text(v)}" for k, v in columns.items())
    return (
        _folded("the kept row, as it would be released", f"<table>{rows}</table>") if rows else ""
    )


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def _text(text: str | None) -> str:
    return f"<pre>{escape(text)}</pre>" if text else ""
