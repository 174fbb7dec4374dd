"""The `read` stage: reads the user's files into shards of records. It starts every recipe.

- read: {prompts: seeds/starter/prompts.jsonl}
- read: {web: pages.parquet, columns: {text: body}, limit: 500}
- read: {prompts: [a.jsonl, b.csv], columns: {prompt: instruction, answer: output}}
- read: {answers: chats.parquet, columns: {messages: turns}}
- read: {prompts: {hub: openai/gsm8k, config: main, split: train}}
- read: {web: "s3://bucket/pages/*.jsonl.zst"}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from seeds.assemble import FilePart, file_parts
from seeds.formats import READERS
from seeds.hub import HubDataset
from seeds.inputs import Input, find_inputs
from seeds.roles import roles_of_all, unknown_role
from synth.columns import KINDS, ROLES, AnswerRole, Job, PromptRole, WebRole
from synth.engine.numbering import numbered_shards
from synth.engine.stage import Outcome, Source
from synth.kind import Kind
from synth.paths import InputPlace, is_remote

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(READERS)]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str | Path | dict | HubDataset) else value


def _kind_of_place(value: object) -> str:
    return "dataset" if isinstance(value, Mapping | HubDataset) else "path"


OnePlace = Annotated[
    Annotated[HubDataset, Tag("dataset")] | Annotated[InputPlace, Tag("path")],
    Discriminator(_kind_of_place),  # a mistake in a dataset's settings is no mistake in a path
]
Paths = Annotated[
    tuple[OnePlace, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "path"},
                HubDataset.model_json_schema(),
                {
                    "type": "array",
                    "items": {
                        "anyOf": [
                            {"type": "string", "format": "path"},
                            HubDataset.model_json_schema(),
                        ]
                    },
                    "minItems": 1,
                },
            ]
        }
    ),
]


def _is_elsewhere(place: HubDataset | Path | str) -> bool:
    return isinstance(place, HubDataset) or (isinstance(place, str) and is_remote(place))


class Read(Source):
    """Reads prompts, web samples or answers. Rejects bad rows with a reason.

    A folder may be saved by `datasets`, a Hugging Face dataset, or any other folder. Files are read
    in sorted order, including those in subfolders. Rows of our own releases keep their ids, trails
    and scores.
    """

    name: ClassVar[str] = "read"
    version: ClassVar[int] = 4
    not_in_fingerprint = ("prompts", "web", "answers")
    """Names and contents of the files matter, but not their location."""

    prompts: Paths = ()
    """Prompts: a path, a pattern such as `data/*.jsonl`, an address such as `s3://bucket/data`, a
    dataset on the Hub such as `{hub: openai/gsm8k, split: train}`, or a list of these."""
    web: Paths = ()
    """Web samples (documents), in the same places."""
    answers: Paths = ()
    """Prompts with answers, in the same places. Set exactly one of `prompts`, `web`, `answers`."""
    format: FormatName | None = None
    """Format of files without a known extension."""
    split: str | None = None
    """Split of a dataset folder to read. Required if the folder has several."""
    columns: dict[PromptRole | WebRole | AnswerRole, str] = Field(default_factory=dict)
    """Maps roles to columns of the input. Roles for prompts: prompt, messages, system, answer
    (the gold answer), tests, entry_point (the function that HumanEval's `check` tests), tools. For
    web: text, title, url. For answers: the roles for prompts, response (by default the last turn of
    `messages`), reasoning, and rejected (the worse answer of a pair). If unset, columns are
    detected by common names; if set, gold answers, tests and system turns are not. A row's
    `input` is appended to a prompt from `instruction`."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of rows to read, including rejected ones. In an incremental run: of new rows
    that an increment reads."""
    max_line_bytes: Annotated[int, Field(ge=1)] = 4_000_000
    """Maximum length of a line (or text file) in bytes; longer ones are rejected unread."""
    max_text_chars: Annotated[int, Field(ge=1)] | None = None
    """Maximum length of a prompt or document in characters; longer ones are rejected."""

    _found: list[Input] = PrivateAttr(default_factory=list)

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
    def cpu_bound(self) -> bool:
        """Whether all inputs lie on this machine. Each process would look up others anew."""
        return not any(map(_is_elsewhere, self._places))

    @property
    def most_rows(self) -> int | None:
        """The `limit`."""
        return self.limit

    def unlimited(self) -> Read:
        """The same stage without its `limit`."""
        return self.model_copy(update={"limit": None})

    def identity(self) -> dict[str, object]:
        """Returns the kind of input and the files' names in the records' trails."""
        inputs = self.inputs()
        found: dict[str, object] = {
            "read as": self.job,
            "names of the inputs": [file.label for file in inputs],
        }
        if versions := [file.version for file in inputs if file.version]:
            found["versions of the inputs"] = versions
        return found

    def files(self) -> list[Path]:
        """Returns every file of this machine in reading order. Asks nobody else.

        Raises `InputError` as `shards` does.
        """
        here = [place for place in self._places if not _is_elsewhere(place)]
        split = self.split if len(here) == len(self._places) else None
        inputs = find_inputs(here, forced=self.format, split=split)
        return [file.path for file in inputs if isinstance(file.path, Path)]

    def inputs(self) -> list[Input]:
        """Returns every input file with its format and its name in the records' trails.

        Inputs elsewhere are looked up once, so that the whole run reads one version of them.
        """
        if not any(map(_is_elsewhere, self._places)):
            return find_inputs(self._places, forced=self.format, split=self.split)
        if not self._found:
            self._found.extend(find_inputs(self._places, forced=self.format, split=self.split))
        return self._found

    def pinned(self) -> dict[str, str]:
        """Returns the version of each input that lies elsewhere, for the manifest."""
        return {str(file.path): file.version for file in self.inputs() if file.version}

    @property
    def _places(self) -> tuple[HubDataset | Path | str, ...]:
        return self.prompts or self.web or self.answers

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
