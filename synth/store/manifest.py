"""The receipts: one per shard, one per stage. A stage's manifest is written last; a reader trusts
nothing else.

`outputs/quickstart/03-distill/manifest.json`, shortened:

    {"stage": "distill", "index": 3, "fingerprint": "9f…", "teacher": {"model": "Qwen/Qwen3-8B", …},
     "shards": [{"shard": 0, "rows_in": 64, "rows_made": 64,
                 "kept": {"path": "kept/00000.parquet", "rows": 121, "bytes": 40112, "sha256": "…"},
                 "rejected": {…}, "reasons": {"reply_truncated": 7}, …}]}
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from synth.errors import InputError, StoreFault
from synth.kind import Kind
from synth.store.durable import sha256_file, write_bytes
from synth.verdict_counts import VerdictCounts

NAME = "manifest.json"
CARD = "README.md"
"""Of a release: its dataset card."""


class _Receipt(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShardFile(_Receipt):
    """One Parquet file. `path` is relative to the manifest's folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


class ShardReceipt(_Receipt):
    """What became of one shard: rows_in + rows_made = kept.rows + rejected.rows."""

    shard: int
    fingerprint: str
    """Of the stage and of the input shard: a receipt with another one is stale."""
    rows_in: int
    rows_made: int
    """Rows beyond the input's that the stage made: evolved prompts, further samples, chunks."""
    kept: ShardFile
    rejected: ShardFile
    reasons: dict[str, int]
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    reused: int = 0
    """Requests answered by the journal in place of the teacher."""
    retries: int = 0
    """Tries that failed, of all requests."""
    unusable: int = 0
    """Replies that no text could be taken from."""
    prefix_queries: int = 0
    """Prompt tokens looked up in the servers' prefix caches, as far as they tell …"""
    prefix_hits: int = 0
    """… and those found there, which were not computed again. Shards that are asked side by side
    share the sum."""
    tried: int = 0
    """Records that the teacher was asked to write, where the stage counts them …"""
    survived: int = 0
    """… and those of them that were good enough to go on."""
    unjudged: int = 0
    """Rows that stayed though they may be a benchmark's item, since no judge decided about them."""
    verdicts: VerdictCounts | None = None
    """On all rows that came in, also on those that left; None where nothing was verified."""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    """What happened that a user should know: a style that was stopped, say."""


class TeacherRecord(_Receipt):
    """Who answered."""

    model: str
    revision: str = ""
    folds: bool = False
    """Whether it was asked without system turns: `teacher: {system: fold}`."""


class Manifest(_Receipt):
    """The receipt of a stage."""

    format: Literal[3] = 3
    """Number of the schema of run folders. Raise it when records, receipts or paths change, so that
    this version refuses the folders of earlier ones. 3: ids of content, turns with tool calls."""
    stage: str
    index: int
    fingerprint: str
    """sha256 over the stage's settings, its input, the seed, teacher and prompt files."""
    settings: dict[str, Any]
    kind: str
    """What its kept records are: prompts, documents, answers, release."""
    code: str
    """Version of this package."""
    seed: int
    recipe: str = ""
    """The recipe's name."""
    teacher: TeacherRecord | None = None
    shards: list[ShardReceipt]
    files: list[ShardFile] = []
    """A release's own files (card, data shards), relative to its folder."""
    scored_by: dict[str, dict[str, Any]] = {}
    """In a release's own: the settings of the stages that filtered and verified its rows, defaults
    included, so that each score stands beside its threshold and can be judged again."""

    @property
    def releases(self) -> bool:
        """Whether the stage writes or pushes the release, and makes no records."""
        return self.kind == Kind.RELEASE

    @property
    def rows_in(self) -> int:
        """Rows that came in."""
        return sum(shard.rows_in for shard in self.shards)

    @property
    def rows_made(self) -> int:
        """Rows made beyond those that came in."""
        return sum(shard.rows_made for shard in self.shards)

    @property
    def rows_kept(self) -> int:
        """Rows that went on."""
        return sum(shard.kept.rows for shard in self.shards)

    @property
    def rows_rejected(self) -> int:
        """Rows that left, each with its reason."""
        return sum(shard.rejected.rows for shard in self.shards)

    @property
    def tried(self) -> int:
        """Records that the teacher was asked to write, where the stage counts them."""
        return sum(shard.tried for shard in self.shards)

    @property
    def survived(self) -> int:
        """Those of them that were good enough to go on."""
        return sum(shard.survived for shard in self.shards)

    @property
    def unjudged(self) -> str:
        """How many rows stayed that may be a benchmark's item, in a sentence; "" for none."""
        rows = sum(shard.unjudged for shard in self.shards)
        said = (
            f"{rows:,} rows stayed that are like an item of a benchmark and that no judge decided"
        )
        return f"{self.stage}: {said}." if rows else ""

    @property
    def verdicts(self) -> VerdictCounts | None:
        """On all rows that came in; None where nothing was verified."""
        found = [shard.verdicts for shard in self.shards if shard.verdicts is not None]
        return sum(found, VerdictCounts()) if found else None

    @property
    def prefix_hit_rate(self) -> float | None:
        """The share of prompt tokens that the prefix cache had, 0 to 1; None: nobody told."""
        queries = sum(shard.prefix_queries for shard in self.shards)
        return sum(shard.prefix_hits for shard in self.shards) / queries if queries else None

    @property
    def reasons(self) -> Counter[str]:
        """How many rows left for each reason."""
        total: Counter[str] = Counter()
        for shard in self.shards:
            total.update(shard.reasons)
        return total


def save(receipt: Manifest | ShardReceipt, path: Path) -> None:
    """The receipt is on disk, whole."""
    write_bytes(path, receipt.model_dump_json(indent=1).encode() + b"\n")


def load_manifest(path: Path) -> Manifest | None:
    """The manifest in the file, or None if there is no file.

    Raises `StoreFault` for a damaged one, `InputError` for one of another format.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        mistakes = error.errors()
        if any(mistake["loc"] == ("format",) for mistake in mistakes):
            folder = path.parent.parent
            raise InputError(
                f"another version of synth made {folder}, and this version cannot continue it: "
                "choose another folder with --out, or delete this one (a release in it can still "
                "be read as input)"
            ) from error
        raise StoreFault(
            f"{path} is damaged or of another version: {mistakes[0]['msg']}; "
            "remove it and run the recipe again: what is finished is kept"
        ) from error


def load_shard_receipt(path: Path) -> ShardReceipt | None:
    """The shard's receipt; None where there is none or it cannot be read: then it is made again."""
    try:
        return ShardReceipt.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def verify_file(folder: Path, file: ShardFile) -> Path:
    """The file's path, once its content matches its receipt. Raises `StoreFault` else."""
    path = folder / file.path
    if not path.is_file():
        raise StoreFault(f"{path} is missing, though its manifest lists it; run the recipe again")
    if (found := sha256_file(path)) != file.sha256:
        raise StoreFault(
            f"{path} does not match its manifest (sha256 {found[:12]}…, expected "
            f"{file.sha256[:12]}…): it was changed or damaged; remove it and run the recipe again"
        )
    return path
