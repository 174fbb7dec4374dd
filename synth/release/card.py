"""The dataset card: a release's contents, how it was made, and why rows were rejected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from synth.generate.trail import evolved_text
from synth.release.formats import Format
from synth.store.manifest import Manifest, TeacherRecord
from synth.teacher.embedded import DEFAULT, NOTICE
from synth.teacher.wire import without_keys
from synth.verdict_counts import VerdictCounts
from synth.verdict_report import stage_verdicts, verdict_rows

SIZES = {  # the Hub's categories
    10**3: "n<1K",
    10**4: "1K<n<10K",
    10**5: "10K<n<100K",
    10**6: "100K<n<1M",
    10**7: "1M<n<10M",
    10**8: "10M<n<100M",
    10**9: "100M<n<1B",
}
TASKS = {
    Format.TEXT: ["text-generation"],
    Format.MESSAGES: ["text-generation"],
    Format.PROMPT_COMPLETION: ["text-generation"],
    Format.PREFERENCE: ["text-generation"],
    Format.UNPAIRED: ["text-generation"],
    Format.PROMPT: ["text-generation"],
}


def card(
    name: str,
    recipe: Mapping[str, Any],
    history: Sequence[Manifest],
    format_: Format,
    checked: VerdictCounts,
    evolved: int | None = None,
) -> str:
    """The README.md of a release, with YAML metadata first. The same data give the same text.

    `evolved` is the number of rows with an evolved prompt; None if no stage evolves prompts.
    """
    written = history[-1]
    rows = written.rows_kept
    teacher = written.teacher
    tags = ["synthetic"] if teacher else []  # people may have written rows that were only filtered
    metadata = {
        "pretty_name": name,
        "size_categories": [next(size for bound, size in SIZES.items() if rows < bound)],
        "task_categories": TASKS[format_],
        "tags": tags,
        # No `configs`: `datasets` finds data/train-*.parquet without them. With `configs`, its
        # cache identifies a local folder by name and settings only, and confuses two releases.
    }
    head = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    return "\n".join(
        [
            f"---\n{head}---",
            f"# {name}",
            "",
            *(f"**Warning:** {one}\n" for one in checked.warnings()),
            f"{rows} rows in the `{format_}` format (synth {written.code}, seed {written.seed}).",
            _teacher(written),
            *([f"{evolved_text(rows, evolved)}."] if evolved is not None else []),
            checked.words(),
            "",
            "## How the rows were made",
            "",
            *funnel_table(history),
            "",
            "Rejected rows are in the run's `rejected/` shards, each with its reason.",
            "",
            "## Why rows were rejected",
            "",
            *reasons_table(history),
            *(f"\n{stage.unjudged}" for stage in history if stage.unjudged),
            "",
            "## Checks",
            "",
            *checks_table({**stage_verdicts(history), "release": checked}),
            "",
            "## Columns",
            "",
            "- `id`: a hash of the row's content and of its trail",
            _COLUMNS[format_],
            "",
            "`provenance/` has the same rows in the same order:",
            "",
            "- `id`: as above",
            "- `reasoning`: the teacher's reasoning, if the columns above leave it out",
            "- `reference`: gold answer, tests or source text, if there is one",
            "- `meta`: the input's other columns, as a JSON object",
            "- `trail`: each step from the seed to this row: operation, parent, request, model …",
            "- `scores`: the result of each filter and verifier",
            "- `logprobs`: log probability of each token of the reply, if requested",
            "",
            "## Recipe",
            "",
            *_block(without_keys(_recipe(recipe, teacher))),
            "",
        ]
    )


def funnel_table(history: Sequence[Manifest]) -> list[str]:
    """The funnel as Markdown: in + made = kept + rejected, stage by stage."""
    lines = ["| stage | in | made | kept | rejected |", "|---|--:|--:|--:|--:|"]
    lines += [
        f"| {stage.stage} | {stage.rows_in} | {stage.rows_made} | {stage.rows_kept} "
        f"| {stage.rows_rejected} |"
        for stage in history
    ]
    return lines


def reasons_table(history: Sequence[Manifest]) -> list[str]:
    """The reasons for rejected rows as Markdown, per stage, most frequent first."""
    rows = [
        f"| {stage.stage} | `{reason}` | {count} |"
        for stage in history
        for reason, count in sorted(stage.reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    return ["| stage | reason | rows |", "|---|---|--:|", *rows] if rows else ["None were."]


def checks_table(found: Mapping[str, VerdictCounts]) -> list[str]:
    """The verdicts of each check as Markdown, for each place where they were counted."""
    rows = verdict_rows(found)
    if not rows:
        return ["No verifier checked these rows."]
    return [
        "A row passes if at least one check applies and all that apply pass.",
        "",
        f"| {' | '.join(rows[0])} |",
        f"|---|---|{'--:|' * (len(rows[0]) - 2)}",
        *(f"| {' | '.join(map(str, row.values()))} |" for row in rows),
    ]


def _recipe(recipe: Mapping[str, Any], teacher: TeacherRecord | None) -> str:
    return yaml.safe_dump(_public(recipe, teacher), sort_keys=False, allow_unicode=True).strip()


def _public(recipe: Mapping[str, Any], teacher: TeacherRecord | None) -> dict[str, Any]:
    """The recipe without details of the machine: the teacher's name replaces its settings, and a
    teacher that was not asked is left out."""
    public = dict(recipe)
    if teacher is None:
        public.pop("teacher", None)
    elif "teacher" in public:
        public["teacher"] = teacher.model
    return public


def _block(text: str) -> list[str]:
    """A code block with a fence longer than any fence in the text."""
    longest = max((len(fence) for fence in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}yaml", text, fence]


def _teacher(written: Manifest) -> str:
    if written.teacher is None:
        return "No teacher was asked."
    revision = f" (server {written.teacher.revision})" if written.teacher.revision else ""
    notice = f" {NOTICE}" if written.teacher.model == DEFAULT else ""
    return f"Teacher: `{written.teacher.model}`{revision}.{notice}"


_COLUMNS = {
    Format.PROMPT: "- `prompt`: the prompt",
    Format.TEXT: "- `text`: the document",
    Format.MESSAGES: "- `messages`: the conversation, ending in the answer (`role`, `content`)",
    Format.PROMPT_COMPLETION: "- `prompt`, `completion`: the conversation and its answer, as turns",
    Format.PREFERENCE: "- `prompt`, `chosen`, `rejected`: the conversation and two answers to it",
    Format.UNPAIRED: "- `prompt`, `completion`, `label`: the conversation, its answer, and whether "
    "the answer passed its checks",
}
