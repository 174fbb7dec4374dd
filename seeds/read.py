"""The `read` stage: the first of every recipe, from the user's files to shards of records.

- read: {prompts: seeds/starter/prompts.jsonl}
- read: {web: pages.parquet, columns: {text: body}, limit: 500}
- read: {prompts: [a.jsonl, b.csv], columns: {prompt: instruction, answer: output}}
- read: {answers: chats.parquet, columns: {messages: turns}}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from seeds.assemble import FilePart, file_parts
from seeds.formats import READERS
from seeds.inputs import Input, find_inputs
from seeds.roles import roles_of_all, unknown_role
from synth.columns import KINDS, ROLES, AnswerRole, Job, PromptRole, WebRole
from synth.engine.numbering import numbered_shards
from synth.engine.stage import Outcome, Source
from synth.kind import Kind
from synth.paths import InputPath

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(READERS)]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str | Path) else value


Paths = Annotated[
    tuple[InputPath, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "path"},
                {"type": "array", "items": {"type": "string", "format": "path"}, "minItems": 1},
            ]
        }
    ),
]


class Read(Source):
    """Reads prompts, web samples or answers, from files and folders; a bad row is set aside with a
    reason.

    A folder is a saved `datasets` folder, a Hugging Face dataset folder, or any folder: its files
    are read in sorted order, the folders below it included.
    """

    name: ClassVar[str] = "read"
    not_in_fingerprint = ("prompts", "web", "answers")
    """Where the files lie does not matter; their names and contents do."""

    prompts: Paths = ()
    """Files or folders of prompts, each a path or a list of paths."""
    web: Paths = ()
    """Files or folders of web samples (documents)."""
    answers: Paths = ()
    """Files or folders of prompts with their answers. Exactly one of these three is given."""
    format: FormatName | None = None
    """How to read the files, where their names do not say it."""
    split: str | None = None
    """Which split of a dataset folder to read. Needed only where a folder has several."""
    columns: dict[PromptRole | WebRole | AnswerRole, str] = Field(default_factory=dict)
    """Role to the input's column. For prompts: prompt, messages, system, answer (the gold one),
    tests, entry_point (what HumanEval's `check` is called with); for web: text, title, url; for
    answers those of prompts and response, which is the last turn of `messages` where it is no
    column. Without it the roles are found by common names; with it only the prompt, the text and
    the response still are. To a prompt from `instruction`, the row's `input` is added below."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """The most rows read, those set aside included."""
    max_line_bytes: Annotated[int, Field(ge=1)] = 4_000_000
    """The longest line (or text file) that is read; a longer one is skipped without loading it."""
    max_text_chars: Annotated[int, Field(ge=1)] | None = None
    """The longest prompt or document that is kept."""

    @field_validator("columns", mode="before")
    @classmethod
    def _known_roles(cls, columns: object, info: ValidationInfo) -> object:
        job = next((job for job in ROLES if info.data.get(job)), None)
        if job and isinstance(columns, dict):
            for role, column in columns.items():
                if role not in ROLES[job]:
                    raise ValueError(unknown_role(role, column, job))
        return columns

    @model_validator(mode="after")
    def _one_job(self) -> Read:
        if len([given for given in (self.prompts, self.web, self.answers) if given]) != 1:
            raise ValueError("`read` needs exactly one of `prompts`, `web` and `answers`")
        if self.format == "text" and self.columns:
            raise ValueError("plain text has no columns to name: leave `columns` out")
        return self

    @property
    def job(self) -> Job:
        """`prompts`, `web` or `answers`: the field that is given."""
        return "web" if self.web else "answers" if self.answers else "prompts"

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  the first stage makes what its field says
        """Prompts, documents or answers, by the field that is given."""
        return KINDS[self.job]

    def identity(self) -> dict[str, object]:
        """What the files are read as, and the names they have in the records' trails."""
        return {"read as": self.job, "names of the inputs": [file.label for file in self.inputs()]}

    def files(self) -> list[Path]:
        """Every file that is read, in reading order. Raises `InputError` as `shards` does."""
        return [file.path for file in self.inputs()]

    def inputs(self) -> list[Input]:
        """Every file that is read, with its format and the name it has in the records' trails."""
        paths = self.prompts or self.web or self.answers
        return find_inputs(paths, forced=self.format, split=self.split)

    def preflight(self) -> None:
        """Raises `InputError` for a column that no file has, before a model is loaded for it."""

        self._roles(self.inputs())

    def input_parts(self) -> Sequence[FilePart]:
        """The files in parts of some size. A `limit` makes it one part, which ends early.

        Raises `InputError` where a file as a whole cannot be used.
        """
        files = self.inputs()
        roles = self._roles(files)
        return [
            FilePart(
                part,
                {file.label: roles[file.label] for file in part},
                self.job,
                self.max_line_bytes,
                self.max_text_chars,
                self.limit,
            )
            for part in ([files] if self.limit else file_parts(files))
        ]

    def shards(self, rows: int) -> Iterator[Outcome]:
        """The input in order, `rows` records at a time (kept and rejected together).

        Reads in bounded memory. Raises as `input_parts`, before the first shard.
        """
        parts = self.input_parts()
        return numbered_shards((table for part in parts for table in part.tables()), rows)

    def _roles(self, files: list[Input]) -> dict[str, dict[str, str]]:
        columns = {str(role): column for role, column in self.columns.items()}
        return roles_of_all(files, self.job, columns, self.max_line_bytes)
