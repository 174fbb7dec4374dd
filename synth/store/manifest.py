"""The receipts of shards and of stages. A stage's receipt is its manifest.

The manifest is written last, so a stage that has one is finished.
`outputs/quickstart/03-distill/manifest.json`, shortened:

    {"stage": "distill", "index": 3, "fingerprint": "9f…", "teacher": {"model": "Qwen/Qwen3-8B", …},
     "shards": [{"shard": 0, "rows_in": 64, "rows_made": 64,
                 "kept": {"path": "kept/00000.parquet", "rows": 121, "bytes": 40112, "sha256": "…"},
                 "rejected": {…}, "reasons": {"reply_truncated": 7}, …}]}
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from synth.errors import InputError, StoreFault
from synth.kind import Kind
from synth.store.durable import sha256_file, write_bytes
from synth.verdict_counts import VerdictCounts

NAME = "manifest.json"
_CHECKSUM = b',\n "checksum": "%b"\n}\n'
"""The end of a receipt's file: the sha256 of everything before it."""
CARD = "README.md"
"""File name of a release's dataset card."""
DATA, PROVENANCE = "data", "provenance"
"""Folders of a release's Parquet files. Equal names hold equal rows, in the same order. A further
format has a folder of its own, with the rows that fit it."""


def stage_label(index: int, name: str) -> str:
    """The name of a stage's folder, which is also its name in messages: `03-distill`."""
    return f"{index:02d}-{name}"


class _Receipt(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShardFile(_Receipt):
    """One Parquet file. `path` is relative to the manifest's folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


class Novelty(_Receipt):
    """NovelSum, a measure of diversity, before and after `dedup`; higher is more diverse. Values of
    different embedding models do not compare."""

    texts: int
    """The size of both samples, in rows."""
    compared: float
    """Of a sample of the rows that came to `dedup`."""
    kept: float
    """Of a sample of the rows that it kept."""


class ShardReceipt(_Receipt):
    """The result of one shard: rows_in + rows_made = kept.rows + rejected.rows."""

    shard: int
    fingerprint: str
    """Hash of the stage and the input shard. A receipt with another fingerprint is stale."""
    rows_in: int
    rows_made: int
    """Rows that the stage added to its input: evolved prompts, further samples, chunks."""
    kept: ShardFile
    rejected: ShardFile
    reasons: dict[str, int]
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    reused: int = 0
    """Requests that a journal answered instead of the teacher."""
    moved: int = 0
    """Reused replies that came from another shard's journal."""
    again: dict[str, int] = {}
    """Requests that were sent although a journal had a reply, by reason: the reply was `damaged` or
    `cut` by a smaller `max_tokens`, is `too_long` for the present one, or was `refused`."""
    rows_again: int = 0
    """Rows whose replies were reused only in part, in a stage that learns within a shard."""
    retries: int = 0
    """Failed attempts of all requests together."""
    unusable: int = 0
    """Replies without usable text."""
    prefix_queries: int = 0
    """Prompt tokens that the servers looked up in their prefix caches, if they report it."""
    prefix_hits: int = 0
    """Prompt tokens found there and not computed again. Shards that run at the same time share the
    sum."""
    tried: int = 0
    """Records that the teacher was asked to write, if the stage counts them."""
    survived: int = 0
    """How many of these were kept."""
    unjudged: int = 0
    """Kept rows that resemble an item of a benchmark, because no judge decided about them."""
    verdicts: VerdictCounts | None = None
    """The verdicts on all input rows, including rejected ones. None if nothing was verified."""
    novelty: Novelty | None = None
    """In the first shard of `dedup` with `semantic`: the diversity of all its rows."""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    """Notes for the user, for example that a style was stopped."""


class TeacherRecord(_Receipt):
    """The teacher that answered."""

    model: str
    revision: str = ""
    folds: bool = False
    """Whether system turns were folded into user turns: `teacher: {system: fold}`."""


class IncrementReceipt(_Receipt):
    """What one increment added to a release."""

    number: int
    seeds: int
    """The rows that it read."""
    rows: int
    """The rows that it added."""
    files: list[str]
    """The data files that it added, with their provenance and further formats, as in the release's
    `files`."""


class Manifest(_Receipt):
    """The receipt of a stage."""

    format: Literal[5] = 5
    """Number of the schema of run folders. Raise it when records, receipts or paths change, so that
    this version refuses older folders. 3 introduced ids by content, and turns with tool calls. 4:
    the journal's key leaves out `max_tokens`. 5: answers may be tool calls."""
    stage: str
    index: int
    fingerprint: str
    """The sha256 of the stage's version and settings, its input, the seed, teacher and prompts."""
    settings: dict[str, Any]
    kind: str
    """The kind of its kept records: prompts, documents, answers, release."""
    code: str
    """Version of this package."""
    seed: int
    recipe: str = ""
    """The recipe's name."""
    began_on: str = ""
    """In the manifest of `read`: the day on which it was read, for the mark of synthetic text."""
    teacher: TeacherRecord | None = None
    shards: list[ShardReceipt]
    inputs: dict[str, str] = {}
    """Of `read`: each input that lies elsewhere, by its address, with its version: the commit of a
    dataset on the Hub, or what the file system tells of a file's content."""
    undrawn: int = 0
    """Further shards of the input, which `read` made and which no wave has drawn yet."""
    files: list[ShardFile] = []
    """The files of a release (card and data shards), relative to its folder."""
    scored_by: dict[str, dict[str, Any]] = {}
    """In a release's manifest: the settings, including defaults, of the stages that filtered and
    verified its rows, so that each score can be compared with its threshold."""
    number: int = 0
    """In the release of an incremental run: its number."""
    parent: str = ""
    """In the release of an incremental run: the sha256 of the manifest of the release that it
    extends; "" for the first."""
    increments: list[IncrementReceipt] = []
    """In the release of an incremental run: the increments that its rows come from."""

    @property
    def label(self) -> str:
        """The stage's folder in the run, and its name in messages: `03-distill`."""
        return stage_label(self.index, self.stage)

    @property
    def releases(self) -> bool:
        """Whether the stage writes or pushes the release instead of making records."""
        return self.kind == Kind.RELEASE

    @property
    def rows_in(self) -> int:
        """Input rows."""
        return sum(shard.rows_in for shard in self.shards)

    @property
    def rows_made(self) -> int:
        """Rows made beyond the input rows."""
        return sum(shard.rows_made for shard in self.shards)

    @property
    def rows_kept(self) -> int:
        """Kept rows."""
        return sum(shard.kept.rows for shard in self.shards)

    @property
    def rows_rejected(self) -> int:
        """Rejected rows."""
        return sum(shard.rejected.rows for shard in self.shards)

    @property
    def tried(self) -> int:
        """Records that the teacher was asked to write, if the stage counts them."""
        return sum(shard.tried for shard in self.shards)

    @property
    def survived(self) -> int:
        """How many of these were kept."""
        return sum(shard.survived for shard in self.shards)

    @property
    def unjudged(self) -> str:
        """A sentence about kept rows that resemble benchmark items; "" if there are none."""
        rows = sum(shard.unjudged for shard in self.shards)
        return (
            f"{self.stage}: kept {rows:,} rows that resemble an item of a benchmark, because no "
            "judge decided about them."
            if rows
            else ""
        )

    @property
    def asked_in_part(self) -> str:
        """A sentence on rows whose replies were reused only in part; "" if there are none."""
        rows = sum(shard.rows_again for shard in self.shards)
        return (
            f"{self.stage}: {rows:,} rows that an earlier run answered were asked again in part: "
            "what it asks for a row depends on its settings, and in part on the shard's other rows."
            if rows
            else ""
        )

    @property
    def verdicts(self) -> VerdictCounts | None:
        """The verdicts on all input rows. None if nothing was verified."""
        found = [shard.verdicts for shard in self.shards if shard.verdicts is not None]
        return sum(found, VerdictCounts()) if found else None

    @property
    def novelty(self) -> Novelty | None:
        """The diversity of the rows by their embeddings. None if it was not measured."""
        return next((one.novelty for one in self.shards if one.novelty is not None), None)

    @property
    def prefix_hit_rate(self) -> float | None:
        """The share of prompt tokens found in the prefix cache, 0 to 1. None if unknown."""
        queries = sum(shard.prefix_queries for shard in self.shards)
        return sum(shard.prefix_hits for shard in self.shards) / queries if queries else None

    @property
    def reasons(self) -> Counter[str]:
        """The number of rejected rows by reason."""
        total: Counter[str] = Counter()
        for shard in self.shards:
            total.update(shard.reasons)
        return total


def run_manifests(run: Path) -> list[Manifest]:
    """The manifests of the run's finished stages, up to the first unfinished one."""
    found: list[Manifest] = []
    while manifest := load_stage(run, len(found)):
        found.append(manifest)
    return found


def load_stage(run: Path, index: int) -> Manifest | None:
    """The manifest of a stage, or None. While a stage is rerun it has none, but later ones may."""
    path = next(run.glob(f"{index:02d}-*/{NAME}"), None)
    return load_manifest(path) if path else None


def save(receipt: Manifest | ShardReceipt, path: Path) -> None:
    """Writes the receipt, completely or not at all. Its checksum is the last entry."""
    body = receipt.model_dump_json(indent=1).encode().removesuffix(b"\n}")
    write_bytes(path, body + _CHECKSUM % sha256(body).hexdigest().encode())


def _body(content: bytes) -> tuple[bytes, bool]:
    """Returns the receipt without its checksum, and whether the checksum is right.

    Receipts of earlier versions have no checksum.
    """
    body, separator, _ = content.rpartition(_CHECKSUM.partition(b"%")[0])
    if not separator:
        return content, True
    return body + b"\n}", content == body + _CHECKSUM % sha256(body).hexdigest().encode()


def load_manifest(path: Path) -> Manifest | None:
    """The manifest in the file, or None if there is no file.

    Raises `StoreFault` if it is damaged, `InputError` if it has another format.
    """
    try:
        body, right = _body(path.read_bytes())
        manifest = Manifest.model_validate_json(body)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        mistakes = error.errors()
        if any(mistake["loc"] == ("format",) for mistake in mistakes):
            folder = path.parent.parent
            raise InputError(
                f"another version of synth made {folder}, so this version cannot continue it: "
                "choose another folder with --out, or delete this one (a release in it can still "
                "be read as input)"
            ) from error
        raise _damaged(path, f"damaged or of another version: {mistakes[0]['msg']}") from error
    if not right:
        raise _damaged(path, "damaged: its checksum is wrong")
    return manifest


def _damaged(path: Path, how: str) -> StoreFault:
    return StoreFault(f"{path} is {how}; remove it and run the recipe again: finished work is kept")


def load_shard_receipt(path: Path) -> ShardReceipt | None:
    """The shard's receipt. None if it is missing or damaged: the shard is then made again."""
    try:
        body, right = _body(path.read_bytes())
        return ShardReceipt.model_validate_json(body) if right else None
    except (FileNotFoundError, ValidationError):
        return None


def verify_file(folder: Path, file: ShardFile) -> Path:
    """The file's path. Raises `StoreFault` if its content does not match its receipt."""
    path = folder / file.path
    if not path.is_file():
        raise StoreFault(f"{path} is missing, though its manifest lists it; run the recipe again")
    if (found := sha256_file(path)) != file.sha256:
        raise StoreFault(
            f"{path} does not match its manifest (sha256 {found[:12]}…, expected "
            f"{file.sha256[:12]}…): it was changed or damaged; remove it and run the recipe again"
        )
    return path
