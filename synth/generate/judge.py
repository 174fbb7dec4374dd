"""The `judge` stage: the teacher grades each row, or says which answer of a pair is better.

judge: {min_score: 3}                     0 to 5 by a rubric that fits what the rows are
judge: {rubric: grounded, min_score: 3}   is a rewrite, or an answer, faithful to its source?
judge: {rubric: my_rubric.md}             by your own rubric
judge: {pairs: true}                      behind `prefer`: the chosen answer must win in both orders

A judge's score is a measurement and no proof: `synth calibrate` compares it with gold scores.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
import pyarrow as pa
from pydantic import Field, model_validator

from synth.engine.stage import AskingStage, Outcome, Place
from synth.generate.template import Template, load, shipped
from synth.kind import Kind
from synth.paths import InputPath
from synth.randomness import derive_seed
from synth.record import add_scores, split
from synth.teacher.protocol import Need, Reply, Sampling, Teacher
from synth.together import together
from synth.tool_calls import answers, with_calls

LOWEST, HIGHEST = 0, 5
NOTE_CHARS = 300
UNJUDGED = "not judged: "
"""Opens the note of a row whose reply cannot be used."""
PLACES = frozenset({"prompt", "reference", "source"})
RUBRIC_OF = {Kind.PROMPTS: "prompt", Kind.DOCUMENTS: "educational", Kind.ANSWERS: "helpful"}
# the reason comes first, so that the score follows from it
SCORE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 1000},
        "score": {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST},
    },
    "required": ["reason", "score"],
    "additionalProperties": False,
}
WINNER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 1000},
        "winner": {"enum": ["first", "second", "equal"]},
    },
    "required": ["reason", "winner"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a row; no value where no reply could be used."""

    value: float | None
    note: str


class Judge(AskingStage):
    """Asks the teacher to grade each row, 0 to 5 by an additive rubric, and stores the score.

    With `pairs`, asks twice which of a row's two answers is better, once in each order. The score
    is the share of these requests that the chosen answer wins.

    Source: the additive scale of FineWeb-Edu (arXiv:2406.17557, appendix F.1); both orders after
    MT-Bench (arXiv:2306.05685, section 3.4). Ours asks for JSON with the reason before the score.
    """

    name: ClassVar[str] = "judge"
    version: ClassVar[int] = 2
    compared_with: ClassVar[tuple[str | float, ...]] = ("min_score",)
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.PROMPTS, Kind.DOCUMENTS, Kind.ANSWERS})
    asks_teacher: ClassVar[bool] = True
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("rubric",)
    """The path of its file does not matter; its content does, see `identity`."""

    rubric: Literal["helpful", "educational", "prompt", "grounded"] | InputPath | None = None
    """A shipped rubric, or the path of your own prompt file with `{{text}}` and optionally
    `{{prompt}}`, `{{reference}}` and `{{source}}`. Default: `prompt` for prompts, `educational` for
    documents, `helpful` for answers. `grounded` compares a rewrite, or a question with its answer,
    with the source. 2 or less means a contradiction; for an answer, 3 means that it says more than
    the source, or that the question cannot be understood alone. Rows without a source are not
    judged."""
    min_score: Annotated[float, Field(ge=LOWEST, le=HIGHEST)] | None = None
    """Rejects rows with a lower score as `judged_too_low`; if not given, all stay."""
    pairs: bool = False
    """Compares a row's text with its `rejected`. If the chosen one does not win in both orders, the
    row is rejected as `judge_undecided` or `judge_prefers_rejected`."""
    unjudged: Literal["keep", "reject"] = "keep"
    """What to do if no reply about a row is usable: `keep` keeps it without a score, `reject`
    rejects it as `not_judged`."""
    score: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = "judge"
    """The score's name, for `select` and `prefer`. Two judges in a recipe need different names."""
    sampling: Sampling = Sampling(temperature=0)

    @model_validator(mode="after")
    def _either(self) -> Judge:
        if self.pairs and (self.rubric is not None or self.min_score is not None):
            raise ValueError("`pairs` compares two answers: leave out `rubric` and `min_score`")
        return self

    def files(self) -> list[Path]:
        """The rubric, if it is the user's own."""
        return [self.rubric] if isinstance(self.rubric, Path) else []

    def identity(self) -> dict[str, object]:
        """The rubrics' digests."""
        if self.pairs:
            return {"rubric pair": shipped("rubric/pair").digest}
        if self.rubric is not None:
            kinds = (Kind.DOCUMENTS, Kind.ANSWERS) if self.rubric == "grounded" else (Kind.NOTHING,)
            return {"rubric": [self._rubric(kind).digest for kind in kinds]}
        return {f"rubric {name}": shipped(f"rubric/{name}").digest for name in RUBRIC_OF.values()}

    def needs(self) -> frozenset[Need]:
        """Replies that follow a schema."""
        return frozenset({Need.SCHEMA})

    async def apply(self, table: pa.Table, place: Place) -> Outcome:
        """Every row with its score, in order; the reason for it is the score's note."""

        teacher = place.teacher
        assert teacher is not None
        template = shipped("rubric/pair") if self.pairs else self._rubric(place.kind)
        subject = "prompt" if place.kind is Kind.PROMPTS else "text"

        async def judge(row: dict[str, str]) -> Judgement:
            if self.pairs:
                found = await self._compare(row, place, teacher, template)
            else:
                found = await self._grade(row, place, teacher, template, row[subject])
            place.judged("", self._reason(found.value))
            place.done(1)
            return found

        found = await together(judge(row) for row in _rows(table))
        reasons = [self._reason(one.value) for one in found]
        scored = add_scores(
            table,
            [
                {
                    "name": self.score,
                    "verdict": "keep" if reason is None else "drop",
                    "value": one.value,
                    "note": one.note,
                }
                for one, reason in zip(found, reasons, strict=True)
            ],
        )
        values, notes = [one.value for one in found], [one.note for one in found]
        faults = Counter(
            fault for one in found if (fault := one.note.removeprefix(UNJUDGED)) != one.note
        )
        told = [
            f"{count:,} of {len(found):,} rows were not judged: {why}"
            for why, count in faults.most_common()
        ]
        return Outcome(*split(scored, reasons, by=self.name, score=values, raw=notes), tuple(told))

    async def _grade(
        self, row: dict[str, str], place: Place, teacher: Teacher, template: Template, text: str
    ) -> Judgement:
        if self.rubric == "grounded" and not row["source"]:
            return Judgement(None, f"{UNJUDGED}no source")
        seed = derive_seed(place.seed, self.name, row["id"])
        reply = await template.ask(teacher, {**row, "text": text}, self.sampling, seed, SCORE)
        verdict = _read(reply)
        if verdict is None:
            return Judgement(None, f"{UNJUDGED}{reply.fault}")
        return Judgement(float(verdict["score"]), verdict["reason"][:NOTE_CHARS])

    async def _compare(
        self, row: dict[str, str], place: Place, teacher: Teacher, template: Template
    ) -> Judgement:
        wins, notes = 0.0, []
        for order, wanted in enumerate(("first", "second")):
            answers = {"first": row["rejected"], "second": row["rejected"], wanted: row["text"]}
            seed = derive_seed(place.seed, self.name, row["id"], order)
            values = {"prompt": row["prompt"], **answers}
            reply = await template.ask(teacher, values, self.sampling, seed, WINNER)
            verdict = _read(reply)
            if verdict is None:
                return Judgement(None, f"{UNJUDGED}{reply.fault}")
            wins += {wanted: 0.5, "equal": 0.25}.get(verdict["winner"], 0.0)
            notes.append(
                f"shown {wanted}, {verdict['winner']} wins: {verdict['reason']}"[:NOTE_CHARS]
            )
        return Judgement(wins, "; ".join(notes))

    def _reason(self, value: float | None) -> str | None:
        if value is None:
            return "not_judged" if self.unjudged == "reject" else None
        if self.pairs:
            if value == 1:
                return None
            return "judge_prefers_rejected" if value == 0 else "judge_undecided"
        if self.min_score is not None and value < self.min_score:
            return "judged_too_low"
        return None

    def _rubric(self, kind: Kind) -> Template:
        if isinstance(self.rubric, Path):
            return load(self.rubric, once="text", system=frozenset(), user=PLACES)
        name = self.rubric or RUBRIC_OF[kind]
        if name == "grounded" and kind is Kind.ANSWERS:
            name = "grounded_answer"  # "Yes, every year." means nothing without its question
        return shipped(f"rubric/{name}")


def _read(reply: Reply) -> dict[str, Any] | None:
    """The judge's reply, which follows the schema; None for a reply with a fault."""
    return None if reply.fault else orjson.loads(reply.text)


def _rows(table: pa.Table) -> list[dict[str, str]]:
    """The values of each row that a rubric may have."""
    return [
        {
            "id": id_,
            "prompt": _conversation(turns),
            "text": text,
            "rejected": rejected or "",
            "reference": (reference or {}).get("answer") or "(none)",
            "source": (reference or {}).get("source") or "",
        }
        for id_, turns, text, rejected, reference in zip(
            table["id"].to_pylist(),
            table["context"].to_pylist(),
            answers(table).to_pylist(),
            table["rejected"].to_pylist(),
            table["reference"].to_pylist(),
            strict=True,
        )
    ]


def _conversation(turns: list[dict[str, Any]]) -> str:
    """The last turn; where there are several, all of them with their roles."""
    if len(turns) <= 1:
        return turns[0]["content"] if turns else ""
    return "\n\n".join(
        f"[{turn['role']}]\n{with_calls(turn['content'], turn['tool_calls'])}" for turn in turns
    )
