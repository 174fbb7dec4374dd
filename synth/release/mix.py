"""Mix: the originals join their rewrites, by share, before `write`.

mix: {originals: 0.5}     half of the released tokens are source pages, as `rewrite` got them

Source: WRAP (arXiv:2401.16380) trains on originals and rewrites 1:1, and arXiv:2510.01631 finds
mixtures better than rewrites alone. Shares are of tokens, since a page is longer than a rewrite of
one of its chunks. `meta` says which row is which: `{"origin": "original"}`, or `"synthetic"`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from synth.engine.stage import CorpusStage, Outcome, Place, Spread
from synth.generate.chunk import count_tokens
from synth.kind import Kind
from synth.randomness import derive_seed
from synth.record import RECORD, making_steps, split, with_meta
from synth.store.manifest import Manifest

SIZES, DRAWS, ORIGINAL, KEPT = "sizes.npy", "draws.npy", "original.npy", "kept.npy"
REASONS = {True: "originals_over_share", False: "synthetic_over_share"}


class Mix(CorpusStage):
    """Adds the original pages to the rows that the teacher wrote. If either side has more than its
    share, the seed draws the rows that it loses."""

    name: ClassVar[str] = "mix"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.DOCUMENTS})

    originals: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The share of originals among the kept rows, above 0 and below 1."""
    by: Literal["tokens", "rows"] = "tokens"
    """What the share counts: tokens, estimated as 1.3 a word, or rows."""
    before: str = "rewrite"
    """The originals are the input of this stage. Later stages do not change them."""

    @property
    def originals_before(self) -> str:
        """The stage whose input it reads besides its own."""
        return self.before

    def warnings(self, manifest: Manifest) -> list[str]:
        """Says that paid rows are left out for want of originals."""
        out = manifest.reasons[REASONS[False]]
        if not out:
            return []
        few = f"there are too few originals for a share of {self.originals:g}"
        return [f"mix: {out:,} synthetic rows are left out: {few}; a lower share keeps more"]

    def sign(self, table: pa.Table, place: Place, folder: Path) -> None:
        """Saves size, draw and origin of each row, and of each original to add."""
        both, original = _with_originals(table, place)
        texts: list[str] = both["text"].to_pylist()
        sizes = [count_tokens(text) if self.by == "tokens" else 1.0 for text in texts]
        draws = [derive_seed(place.seed, self.name, one) for one in both["id"].to_pylist()]
        np.save(folder / SIZES, np.array(sizes, np.float64))
        np.save(folder / DRAWS, np.array(draws, np.int64))
        np.save(folder / ORIGINAL, original)

    def decide(
        self,
        folders: list[Path],
        run: Path | None = None,  # noqa: ARG002  other runs do not matter
        spread: Spread = map,  # noqa: ARG002  it takes no time
    ) -> None:
        """Keeps all of the side that has too little, and of the other what its share allows."""
        counts = [len(np.load(folder / SIZES, mmap_mode="r")) for folder in folders]
        sizes, draws, original = (
            np.concatenate([np.load(folder / name) for folder in folders] or [np.zeros(0)])
            for name in (SIZES, DRAWS, ORIGINAL)
        )
        kept = shared_out(sizes, draws, original.astype(bool), self.originals)
        parts = np.split(kept, np.cumsum(counts)[:-1]) if folders else []
        for folder, part in zip(folders, parts, strict=True):
            np.save(folder / KEPT, part)

    def split(self, table: pa.Table, place: Place, folder: Path) -> Outcome:
        """The shard's rows, then its originals, each with its origin."""
        both, original = _with_originals(table, place)
        kept = np.load(folder / KEPT)
        reasons = [
            None if stays else REASONS[bool(one)]
            for stays, one in zip(kept.tolist(), original.tolist(), strict=True)
        ]
        origins = [{"origin": "original" if one else "synthetic"} for one in original]
        return Outcome(*split(with_meta(both, origins), reasons, by=self.name))


def shared_out(
    sizes: NDArray[np.float64],
    draws: NDArray[np.int64],
    original: NDArray[np.bool_],
    share: float,
) -> NDArray[np.bool_]:
    """Which rows stay, so that the originals have at most this share, and nearly that.

    Goes through the side with too much in the order of its draws, and keeps each row that its share
    still has room for.
    """
    of_originals, of_others = float(sizes[original].sum()), float(sizes[~original].sum())
    over = of_originals > of_others * share / (1 - share)
    side = original if over else ~original
    room = of_others * share / (1 - share) if over else of_originals * (1 - share) / share
    room *= 1 + 1e-9  # for rounding
    rows = np.flatnonzero(side)
    kept = ~side
    for row in rows[np.argsort(draws[rows], kind="stable")].tolist():
        if sizes[row] <= room:
            kept[row] = True
            room -= sizes[row]
    return kept


def _with_originals(table: pa.Table, place: Place) -> tuple[pa.Table, NDArray[np.bool_]]:
    """The rows, then the originals that are not among them; and which of all are originals."""
    assert place.originals is not None, "the runner gives `mix` the originals"
    added = place.originals().select(RECORD.names)
    known = set(table["id"].to_pylist())
    new = [one not in known for one in added["id"].to_pylist()]
    both = pa.concat_tables([table.select(RECORD.names), added.filter(pa.array(new, pa.bool_()))])
    requests: list[str] = making_steps(both).field("request").to_pylist()
    return both, np.array([not one for one in requests], bool)
