"""The `read` stage: reads the user's files into shards of records. It starts every recipe.

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
    """Reads prompts, web samples or answers from files and folders. Rejects bad rows with a reason.

    A folder may be saved by `datasets`, a Hugging Face dataset, or any other folder. Files are read
    in sorted order, including those in subfolders.
    """

    name: ClassVar[str] = "read"
    not_in_fingerprint = ("prompts", "web", "answers")
    """Names and contents of the files matter, but not their location."""

    prompts: Paths = ()
    """Files or folders of prompts, each a path or a list of paths."""
    web: Paths = ()
    """Files or folders of web samples (documents)."""
    answers: Paths = ()
    """Files or folders of prompts with answers. Set exactly one of `prompts`, `web`, `answers`."""
    format: FormatName | None = None
    """Format of files without a known extension."""
    split: str | None = None
    """Split of a dataset folder to read. Required if the folder has several."""
    columns: dict[PromptRole | WebRole | AnswerRole, str] = Field(default_factory=dict)
    """Maps roles to columns of the input. Roles for prompts: prompt, messages, system, answer
    (the gold answer), tests, entry_point (the function that HumanEval's `check` tests). For web:
    text, title, url. For answers: the roles for prompts, and response (by default the last turn of
    `messages`). If unset, columns are detected by common names; if set, only prompt, text and
    response are. A row's `input` is appended to a prompt from `instruction`."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of rows to read, including rejected ones. In an incremental run: of new rows
    that an increment reads."""
    max_line_bytes: Annotated[int, Field(ge=1)] = 4_000_000
    """Maximum length of a line (or text file) in bytes; longer ones are rejected unread."""
    max_text_chars: Annotated[int, Field(ge=1)] | None = None
    """Maximum length of a prompt or document in characters; longer ones are rejected."""

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
            raise ValueError("`read` needs exactly one of `prompts`, `web` or `answers`")
        if self.format == "text" and self.columns:
            raise ValueError("plain text has no columns: remove `columns`")
        return self

    @property
    def job(self) -> Job:
        """`prompts`, `web` or `answers`: the field that is set."""
        return "web" if self.web else "answers" if self.answers else "prompts"

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  the first stage has no input kind
        """Returns prompts, documents or answers, by the field that is set."""
        return KINDS[self.job]

    @property
    def most_rows(self) -> int | None:
        """The `limit`."""
        return self.limit

    def unlimited(self) -> Read:
        """The same stage without its `limit`."""
        return self.model_copy(update={"limit": None})

    def identity(self) -> dict[str, object]:
        """Returns the kind of input and the files' names in the records' trails."""
        return {"read as": self.job, "names of the inputs": [file.label for file in self.inputs()]}

    def files(self) -> list[Path]:
        """Returns every input file in reading order. Raises `InputError` as `shards` does."""
        return [file.path for file in self.inputs()]

    def inputs(self) -> list[Input]:
        """Returns every input file with its format and its name in the records' trails."""
        paths = self.prompts or self.web or self.answers
        return find_inputs(paths, forced=self.format, split=self.split)

    def preflight(self) -> None:
        """Raises `InputError` for a missing column, before a model is loaded."""

        self._roles(self.inputs())

    def input_parts(self) -> Sequence[FilePart]:
        """Splits the files into parts; with `limit`, returns one part that ends early.

        Raises `InputError` if a file as a whole cannot be used.
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
        """Yields the input in order, `rows` records at a time (kept and rejected together).

        Uses bounded memory. Raises as `input_parts` does, before the first shard.
        """
        parts = self.input_parts()
        return numbered_shards((table for part in parts for table in part.tables()), rows)

    def _roles(self, files: list[Input]) -> dict[str, dict[str, str]]:
        columns = {str(role): column for role, column in self.columns.items()}
        return roles_of_all(files, self.job, columns, self.max_line_bytes)
