"""The table that a resumed run prints first: which stages are done, partly done, or stale and why.

found in outputs/mine:
  00-read     done: 1,000 rows
  01-evolve   partly: 320 of 1,000 rows done, 51,000 tokens saved
  02-distill  stale: sampling.temperature 0.7 → 0.9; 640 replies in its journals
  03-write    waits for 01-evolve
"""

from __future__ import annotations

from collections.abc import Sequence

from synth.engine.basis import differences, load_basis
from synth.engine.receipts import Receipts, damaged
from synth.engine.stage import CorpusStage, ShardStage
from synth.errors import StoreFault
from synth.store.increments import load_mark
from synth.store.manifest import Manifest, load_manifest
from synth.teacher.journal_check import replies_in

MOST_NAMED = 4
"""The most reasons or damaged files of a stage that a line names."""


def resume_table(receipts: Receipts) -> list[str]:
    """One line per stage. Empty for a fresh folder, and if nothing is left to do."""
    stages = range(len(receipts.plan.stages))
    begun = stages[1:] if load_mark(receipts.run) else stages  # an increment is read before it runs
    if not any(receipts.folder(index).path.is_dir() for index in begun):
        return []
    states: dict[str, str] = {}
    unfinished = ""
    before: Manifest | None = None
    for index in stages:
        label = receipts.folder(index).path.name
        manifest = None if unfinished else receipts.finished(index, before)
        if manifest is None:
            states[label] = _unfinished(receipts, index, before, unfinished)
            unfinished = unfinished or label
        else:
            states[label] = f"done: {manifest.rows_kept:,} rows" if manifest.shards else "done"
            before = manifest
    if not unfinished:
        return []
    wide = max(map(len, states))
    lines = [f"  {label:<{wide}}  {state}" for label, state in states.items()]
    return [f"found in {receipts.run}:", *lines]


def left_to_do(receipts: Receipts) -> str:
    """What a stopped run has done and what is left, on one line."""
    done: list[str] = []
    left: list[str] = []
    before: Manifest | None = None
    for index in range(len(receipts.plan.stages)):
        label = receipts.folder(index).path.name
        manifest = None if left else receipts.finished(index, before)
        if manifest is not None:
            done.append(f"{label} {manifest.rows_kept:,} rows")
            before = manifest
        elif not left:
            left.append(f"{label} ({_progress(receipts, index, before)})")
        else:
            left.append(label)
    return f"done: {', '.join(done) or 'nothing'}; left: {', '.join(left)}"


def _progress(receipts: Receipts, index: int, before: Manifest | None) -> str:
    """How far an unfinished stage is: `320 of 1,000 rows, 1,400 replies journaled`."""
    rows = ""
    if before is not None:
        found = (receipts.shard_receipt(index, n, before) for n in range(len(before.shards)))
        rows = f"{sum(one.rows_in for one in found if one):,} of {before.rows_kept:,} rows, "
    folder = receipts.folder(index).path
    replies = sum(map(replies_in, sorted(folder.glob("journal/*.sqlite"))))
    return f"{rows}{replies:,} replies journaled"


def _unfinished(receipts: Receipts, index: int, before: Manifest | None, waits: str) -> str:
    """The state of a stage in words. `waits` is the first unfinished stage before it, if any."""
    folder = receipts.folder(index)
    if not folder.path.is_dir():
        return "not begun"
    found = []
    if not waits:
        if damage := _damage(receipts, index, before):
            found.append(f"damaged: {_some(damage)}")
        found += _partly(receipts, index, before)
    if changes := _changes(receipts, index, before, waits):
        found.append(f"stale: {_some(changes)}")
    elif waits:
        found.append(f"waits for {waits}")
    if replies := sum(map(replies_in, sorted(folder.path.glob("journal/*.sqlite")))):
        found.append(f"{replies:,} replies in its journals")
    return "; ".join(found) or "begun"


def _damage(receipts: Receipts, index: int, before: Manifest | None) -> list[str]:
    path = receipts.folder(index).manifest
    try:
        load_manifest(path)
    except StoreFault:
        return [f"{path} is damaged"]
    manifest = receipts.fitting(index, before)
    return receipts.damage(index, manifest) if manifest else []


def _partly(receipts: Receipts, index: int, before: Manifest | None) -> list[str]:
    """The number of finished rows whose files are whole, and the tokens that they save."""
    if before is None or not isinstance(receipts.plan.stages[index], ShardStage | CorpusStage):
        return []
    folder = receipts.folder(index).path
    found = (receipts.shard_receipt(index, n, before) for n in range(len(before.shards)))
    done = [one for one in found if one and not damaged(folder, [one.kept, one.rejected])]
    if not done:
        return []
    tokens = sum(one.tokens_in + one.tokens_out for one in done)
    saved = f", {tokens:,} tokens saved" if tokens else ""
    rows = sum(one.rows_in for one in done)
    return [f"partly: {rows:,} of {before.rows_kept:,} rows done{saved}"]


def _changes(receipts: Receipts, index: int, before: Manifest | None, waits: str) -> list[str]:
    """Describes what has changed since the work in the folder was done."""
    old = load_basis(receipts.folder(index).path)
    if old is None:
        whole = receipts.folder(index).manifest.is_file() and not waits
        return ["what changed is not recorded"] if whole else []
    if waits:
        return differences(old.own, receipts.basis(index))
    return differences(old, receipts.basis(index, before))


def _some(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - MOST_NAMED:,} more"] if len(lines) > MOST_NAMED else []
    return ", ".join([*lines[:MOST_NAMED], *more])
