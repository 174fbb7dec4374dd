"""The `decontaminate` stage rejects rows that contain benchmark items, and names the items.

decontaminate: {against: [gsm8k, humaneval, exam.jsonl]}
decontaminate: {against: [gsm8k], judge: {}}

It has three tiers: shared n-grams, the nearest items by characters, and the teacher's judgement of
the nearest ones. The reason names the tier and benchmark, so manifests and reports count them:
`ngram_of_gsm8k`, `close_to_gsm8k`, `same_as_gsm8k`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import pyarrow as pa
from pydantic import BeforeValidator, Field, model_validator

from filters.contamination.benchmark import Benchmark
from filters.contamination.index import Index, Match, index_of, items_of
from filters.contamination.same_problem import SameProblem, SuspectRow, SuspectVerdict, template
from synth.batch import Batch
from synth.engine.stage import AskingStage, Outcome, Place
from synth.errors import InputError
from synth.kind import Kind
from synth.record import add_scores, split
from synth.together import together


class _Decision(NamedTuple):
    reason: str | None
    value: float
    note: str
    unjudged: bool = False
    """Whether the row is a candidate that stays because no judge decided."""


def _null_means_defaults(value: object) -> object:
    return {} if value is None else value


class Decontaminate(AskingStage):
    """Rejects rows that contain an item of a benchmark, verbatim or rephrased.

    Searches both prompt and text of rows with an answer. The score is the likeness of the nearest
    item; the note names its place (`gsm8k#17` is the 18th row of GSM8K).
    """

    name: ClassVar[str] = "decontaminate"
    compared_with: ClassVar[tuple[str | float, ...]] = ("candidate", "flag")
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})
    not_in_fingerprint = ("against",)
    """The benchmarks' paths do not matter; their names and contents do."""

    against: Annotated[list[Benchmark], Field(min_length=1)]
    """The benchmarks: names from the shipped list, files, or datasets on the Hub."""
    ngram_words: Annotated[int, Field(ge=5, le=50)] = 13
    """Words in a shared n-gram that counts as evidence."""
    short_ngram_words: Annotated[int, Field(ge=4, le=50)] = 8
    """The same for items with fewer than twice `ngram_words` words."""
    flag: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Rejects a row with at least this similarity to an item, unless a judge decides. The
    similarity is the cosine of character 4-grams, plus half that of the code's form. Different
    problems of GSM8K reach 0.5. Items with fewer words than `short_ngram_words` are left to the
    judge."""
    candidate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The judge is asked about items with at least this similarity. All of 585 rephrased items
    reach it except two empty ones, and so do half of unrelated prompts."""
    judge: Annotated[SameProblem | None, BeforeValidator(_null_means_defaults)] = None
    """Asks the teacher whether the nearest items are the same problem; default: no judge."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [benchmark.name for benchmark in self.against]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two benchmarks are called {twice[0]!r}: set a different `name`")
        if self.short_ngram_words > self.ngram_words:
            raise ValueError("`short_ngram_words` must not be more than `ngram_words`")
        if self.candidate > self.flag:
            raise ValueError("`candidate` must not be above `flag`")
        return self

    @property
    def asks_teacher(self) -> bool:  # type: ignore[override]  # depends on the settings
        """True if a judge is set."""
        return self.judge is not None

    def files(self) -> list[Path]:
        """The benchmark files. Raises `InputError` if one is missing."""
        files = [benchmark.file for benchmark in self.against if benchmark.file is not None]
        if missing := [path for path in files if not path.is_file()]:
            raise InputError(f"no benchmark file {missing[0]}: correct the path in the recipe")
        return files

    def identity(self) -> dict[str, object]:
        """The items of all benchmarks, and the judge's prompt."""

        found = items_of(tuple(self.against))
        judge = {"prompt file of the judge": template().digest} if self.judge else {}
        names = [items.name for items in found]
        items = {f"benchmark {items.name}": items.digest for items in found}
        return {"benchmarks": names, **items, **judge}

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """The kept and rejected rows, each with a score and its evidence."""

        index = await asyncio.to_thread(self.index, place.work)
        rows, findings = await asyncio.to_thread(self._look, index, table, place)

        async def decide(row: SuspectRow, finding: Match) -> _Decision:
            decision = await self._decide(index, row, finding, place)
            place.done(1)
            return decision

        decisions = await together(map(decide, rows, findings))
        return await asyncio.to_thread(self._outcome, table, decisions)

    def index(self, folder: Path | None) -> Index:
        """The index over all benchmarks. A run has it in a folder, for all its processes."""

        return index_of(tuple(self.against), self.ngram_words, self.short_ngram_words, folder)

    def _look(
        self, index: Index, table: pa.Table, place: Place
    ) -> tuple[list[SuspectRow], list[Match]]:

        columns = [Batch(table, place.subject).texts]
        if place.kind is Kind.ANSWERS:
            columns.insert(0, Batch(table, "prompt").texts)
        parts = [[text for text in row if text] for row in zip(*columns, strict=True)]
        rows = [
            SuspectRow(id_, "\n\n".join(texts))
            for id_, texts in zip(table["id"].to_pylist(), parts, strict=True)
        ]
        return rows, index.look(parts, self.judge.most if self.judge else 1)

    async def _decide(
        self, index: Index, row: SuspectRow, finding: Match, place: Place
    ) -> _Decision:
        """The verdict on one row, from the first tier that reaches one."""
        hit, near = finding
        value = near[0].similarity if near else 0.0
        if hit is not None:
            note = f"{index.label(hit.item)}: {hit.ngram[:200]}"
            return _Decision(f"ngram_of_{index.benchmark(hit.item)}", value, note)
        note = index.label(near[0].item) if near else ""
        close = [neighbour for neighbour in near if neighbour.similarity >= self.candidate]
        if self.judge is not None and close:
            assert place.teacher is not None
            answer: SuspectVerdict = await self.judge.judge(
                row, close, index.texts, place.teacher, place.seed
            )
            if answer.same is not None:
                reason = f"same_as_{index.benchmark(answer.same.item)}"
                return _Decision(reason, answer.same.similarity, index.label(answer.same.item))
            if not answer.unread:
                return _Decision(None, value, f"{note}, another problem")
            note = f"{note}; the judge's reply could not be parsed"
        if value >= self.flag and index.words[near[0].item] >= self.short_ngram_words:
            return _Decision(f"close_to_{index.benchmark(near[0].item)}", value, note)
        return _Decision(None, value, note, unjudged=bool(close))

    def _outcome(self, table: pa.Table, decisions: list[_Decision]) -> Outcome:

        scores: list[dict[str, Any]] = [
            {
                "name": self.name,
                "verdict": "drop" if one.reason else "keep",
                "value": one.value,
                "note": one.note,
            }
            for one in decisions
        ]
        scored = add_scores(table, scores)
        reasons, values = [one.reason for one in decisions], [one.value for one in decisions]
        unjudged = sum(one.unjudged for one in decisions)
        return Outcome(*split(scored, reasons, by=self.name, score=values), unjudged=unjudged)
