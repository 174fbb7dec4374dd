"""The dataset card: a release's contents, how it was made, and why rows were rejected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import yaml

from synth.generate.collapse import HEAD_CHARS, measure
from synth.generate.trail import evolved_text
from synth.release.contents import Contents
from synth.release.features import yaml_features
from synth.release.formats import Format
from synth.release.mark import mark
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
LIBRARY = "synth"
AT_THE_HUB = "hf://datasets/"
ON_THE_HUB = re.compile(rf"{AT_THE_HUB}[^/@]+/[^/@]+")
"""The start of an address on the Hub, up to the dataset's name."""
FEWEST_CHARS = 2_000
"""Shorter texts compress badly whatever they say."""
SHOWN_ROWS = 10
SHOWN_CHARS = 600
"""Of each value of a row that the card shows."""


def card(
    name: str,
    recipe: Mapping[str, Any],
    history: Sequence[Manifest],
    format_: Format,
    found: Contents,
    seeds: Sequence[str] = (),
) -> str:
    """The README.md of a release, with YAML metadata first. The same data give the same text.

    `seeds` is a sample of the input, to compare its diversity with.
    """
    written = history[-1]
    from_prompts = any(stage.stage == "evolve" for stage in history)
    head = yaml.safe_dump(_metadata(name, history, found), sort_keys=False, allow_unicode=True)
    return "\n".join(
        [
            f"---\n{head}---",
            f"# {name}",
            "",
            *(f"**Warning:** {one}\n" for one in found.facts.verdicts.warnings()),
            (
                f"{found.rows:,} rows in the `{format_}` format "
                f"(synth {written.code}, seed {written.seed})."
            ),
            *(
                f"The config `{one}` has the {found.rows_of(one):,} of them that fit this format."
                for one in found.others
            ),
            _teacher(history),
            *([f"{evolved_text(found.rows, found.facts.evolved)}."] if from_prompts else []),
            found.facts.verdicts.words(),
            "",
            "## Load it",
            "",
            *_loading(found),
            "",
            "## Columns",
            "",
            "- `id`: a hash of the row's content and of its trail",
            *_columns(found, found.main),
            "",
            *(
                line
                for one in found.others
                for line in (
                    f"The config `{one}`:",
                    "",
                    "- `id`: as above",
                    *_columns(found, one),
                    "",
                )
            ),
            "The config `provenance` has the same rows in the same order:",
            "",
            "- `id`: as above",
            "- `reasoning`: the teacher's reasoning, if the columns above leave it out",
            "- `reference`: gold answer, tests or source text, if there is one",
            "- `meta`: the input's other columns, as a JSON object",
            "- `trail`: each step from the seed to this row: operation, parent, request, model …",
            "- `scores`: the result of each filter and verifier",
            "- `logprobs`: log probability of each token of the reply, if requested",
            "",
            "## How the rows were made",
            "",
            *funnel_table(history),
            "",
            "Rejected rows are in the run's `rejected/` shards, each with its reason.",
            "",
            *_teachers_work(history, found),
            "",
            "## Why rows were rejected",
            "",
            *reasons_table(history),
            *(f"\n{stage.unjudged}" for stage in history if stage.unjudged),
            "",
            "## Checks",
            "",
            *checks_table({**stage_verdicts(history), "release": found.facts.verdicts}),
            "",
            "## Contamination",
            "",
            *_contamination(history),
            "",
            "## Diversity",
            "",
            *_diversity(found, seeds),
            *_novelty(history),
            "",
            "## Known limits",
            "",
            *(f"- {one}" for one in _limits(history, found)),
            "",
            "## Licenses",
            "",
            *_licenses(found),
            "",
            "## Ten random rows",
            "",
            *_rows(found),
            "",
            "## Recipe",
            "",
            *_block(without_keys(_recipe(recipe, history)), "yaml"),
            "",
            "## Citation",
            "",
            *_block(citation(name, history), "bibtex"),
            "",
        ]
    )


def _metadata(name: str, history: Sequence[Manifest], found: Contents) -> dict[str, Any]:
    """The YAML that the Hub and `datasets` read. Unknown keys are for other machines."""
    synthetic = mark(list(history), dated=True)
    by_model = {"annotations_creators": ["machine-generated"]} if synthetic else {}
    # people may have written rows that were only filtered
    tags = [*(["synthetic"] if synthetic else []), LIBRARY]
    sources = _sources(history[0].settings)
    return {
        "pretty_name": name,
        **({"license": one} if (one := _license(found)) else {}),
        **({"language": codes} if (codes := found.languages) else {}),
        **by_model,
        **({"language_creators": ["machine-generated"]} if synthetic else {}),
        **({"source_datasets": sources} if sources else {}),
        "size_categories": [next(size for bound, size in SIZES.items() if found.rows < bound)],
        "task_categories": ["text-generation"],
        "tags": tags,
        **({"synthetic": synthetic} if synthetic else {}),
        "configs": _configs(found),
        "dataset_info": [_info(config, found) for config in found.folders],
    }


def _sources(read: Mapping[str, Any]) -> list[str]:
    """The datasets of the Hub that the settings of `read` name: `openai/gsm8k`."""
    places = [place for job in ("prompts", "web", "answers") for place in read.get(job) or ()]
    named = [
        place["hub"] if isinstance(place, Mapping) else (ON_THE_HUB.match(place) or [""])[0]
        for place in places
    ]
    return sorted({name.removeprefix(AT_THE_HUB) for name in named if name})


def _configs(found: Contents) -> list[dict[str, Any]]:
    """The configs. Their description tells releases apart: `datasets` caches a local folder under
    its name and its configs, and would take two folders called `release` for the same."""
    return [
        {
            "config_name": config,
            **({"default": True} if config == found.main else {}),
            "description": f"rows {found.digest[:32]}",
            "data_files": [
                {"split": split, "path": f"{folder}/{split}-*"} for split in found.splits[config]
            ],
        }
        for config, folder in found.folders.items()
    ]


def _info(config: str, found: Contents) -> dict[str, Any]:
    splits = found.splits[config]
    return {
        "config_name": config,
        "features": yaml_features(found.schemas[config]),
        "splits": [
            {"name": name, "num_bytes": split.bytes, "num_examples": split.rows}
            for name, split in splits.items()
        ],
        "download_size": sum(file.bytes for split in splits.values() for file in split.files),
        "dataset_size": sum(split.bytes for split in splits.values()),
    }


def _license(found: Contents) -> str | None:
    """The license of all seeds, `other` if they differ, None if none is known."""
    known = sorted(found.facts.licenses)
    if known in ([], [""]):
        return None
    return known[0] if len(known) == 1 else "other"


def _licenses(found: Contents) -> list[str]:
    known = {one: count for one, count in sorted(found.facts.licenses.items()) if one}
    if not known:
        return ["The seeds had no column `license`, so their licenses are not known here."]
    lines = [f"- `{one}`: {count:,} rows" for one, count in known.items()]
    if without := found.facts.licenses[""]:
        lines.append(f"- not known: {without:,} rows")
    return ["By the column `license` of the seeds:", "", *lines]


def _columns(found: Contents, config: str) -> list[str]:
    return [f"- {_COLUMNS[name]}" for name in found.schemas[config].names if name != "id"]


def _loading(found: Contents) -> list[str]:
    splits = " and ".join(
        f"`{split}` ({files.rows:,} row{'s' * (files.rows != 1)})"
        for split, files in found.splits[found.main].items()
    )
    configs = [one for one in found.folders if one != found.main]
    return [
        f"Splits: {splits}.",
        "",
        *_block(
            "from datasets import load_dataset\n\n"
            'rows = load_dataset("PATH_OR_REPO", split="train")\n'
            + "\n".join(
                f'{one} = load_dataset("PATH_OR_REPO", "{one}", split="train")' for one in configs
            ),
            "python",
        ),
        "",
        (
            'Other readers take the folder `data`: `polars.read_parquet("release/data")`, '
            '`pandas.read_parquet("release/data")`, `pyarrow.dataset.dataset("release/data")`; '
            "DuckDB takes `FROM 'release/data/*.parquet'`."
            + "".join(f" The config `{one}` is in the folder `{one}`." for one in found.others)
        ),
    ]


def _teachers_work(history: Sequence[Manifest], found: Contents) -> list[str]:
    """What the teacher was asked, its cost per released row, and the prompts behind the rows."""
    asked = [stage for stage in history if any(shard.requests for shard in stage.shards)]
    if not asked:
        return ["No stage asked a teacher."]
    lines = [
        "| stage | requests | tokens in | tokens out | tokens per released row | sampling |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for stage in asked:
        tokens_in = sum(shard.tokens_in for shard in stage.shards)
        tokens_out = sum(shard.tokens_out for shard in stage.shards)
        requests = sum(shard.requests for shard in stage.shards)
        set_ = stage.settings.get("sampling") or {}
        sampling = ", ".join(f"{key} {one}" for key, one in set_.items() if one is not None)
        lines.append(
            f"| {stage.stage} | {requests} | {tokens_in} | {tokens_out} "
            f"| {(tokens_in + tokens_out) / found.rows:,.0f} | {sampling.replace('|', '/')} |"
        )
    lines += [
        "",
        "The steps of the released rows, each with the first digits of its prompt file's sha256:",
        "",
        "| stage | operation | prompt | rows |",
        "|---|---|---|--:|",
    ]
    return lines + [
        f"| {stage} | {operation.replace('|', '/')} | {f'`{prompt}`' if prompt else ''} | {rows} |"
        for (stage, operation, prompt), rows in sorted(found.facts.steps.items())
    ]


def _contamination(history: Sequence[Manifest]) -> list[str]:
    stages = [stage for stage in history if stage.stage == "decontaminate"]
    if not stages:
        return ["These rows were not compared with any benchmark."]
    lines = []
    for stage in stages:
        total = sum(stage.reasons.values())
        lines.append(
            f"`decontaminate` compared {stage.rows_in:,} rows with benchmarks and rejected "
            f"{total:,}; the reasons above name the benchmark. Its settings are in the recipe."
        )
    return lines


def _diversity(found: Contents, seeds: Sequence[str]) -> list[str]:
    """The measures of seeds, prompts and answers, at equal sizes."""
    prompts, answers = zip(*found.facts.texts, strict=True)
    groups = {"seeds": list(seeds), "prompts": list(prompts), "answers or documents": list(answers)}
    groups = {name: [one for one in texts if one.strip()] for name, texts in groups.items()}
    groups = {name: texts for name, texts in groups.items() if texts}
    sizes = [sum(len(one[:HEAD_CHARS]) for one in texts) for texts in groups.values()]
    if min(sizes) < FEWEST_CHARS:
        return ["Too little text to measure it."]
    lines = [
        (
            f"Each group is a random sample of {min(sizes):,} characters. A higher ratio "
            "of compression (zlib) means that texts are more alike; human prompts have about 2.5."
        ),
        "",
        "| texts | sampled | compression ratio | shared 4-grams | shared first five words |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, texts in groups.items():
        one = measure(_cut(texts, min(sizes)))
        lines.append(
            f"| {name} | {one.texts} | {one.compression:.2f} | {one.repetition:.2f} "
            f"| {one.openings:.2f} |"
        )
    return lines


def _novelty(history: Sequence[Manifest]) -> list[str]:
    """The diversity before and after `dedup`; nothing where it had no embedding model."""
    return [
        f"\nBy embeddings, NovelSum (arXiv:2502.17184; higher is more diverse) is "
        f"{novelty.compared:.3f} for the rows that came to `dedup`, and {novelty.kept:.3f} for "
        f"those that it kept, each on a sample of {novelty.texts:,} rows."
        for stage in history
        if (novelty := stage.novelty)
    ]


def _cut(texts: Sequence[str], chars: int) -> list[str]:
    """The first texts, of each its head, with `chars` characters in all."""
    cut = []
    for text in texts:
        if chars <= 0:
            break
        cut.append(text[: min(HEAD_CHARS, chars)])
        chars -= len(cut[-1])
    return cut


def _limits(history: Sequence[Manifest], found: Contents) -> list[str]:
    """What a user of the rows should know, as far as the run can tell."""
    stages = {stage.stage for stage in history}
    limits = []
    if found.facts.models:
        models = ", ".join(
            f"`{model}`" for model in sorted({model for model, _ in found.facts.models})
        )
        limits.append(
            f"A model wrote text of these rows ({models}): they have its errors and bias."
        )
    if not found.facts.verdicts.checks:
        limits.append("No verifier checked the answers.")
    elif unchecked := found.rows - found.facts.verdicts.passed:
        limits.append(f"{unchecked:,} of {found.rows:,} rows did not pass a check, or had none.")
    for stage, sentence in (
        ("redact", "Personal data and secrets were not searched for."),
        ("decontaminate", "Benchmark items may be among the rows."),
        ("dedup", "Duplicates were not searched for."),
        ("quality", "No quality filter looked at the rows."),
    ):
        if stage not in stages:
            limits.append(sentence)
    return limits or ["None is known."]


def _rows(found: Contents) -> list[str]:
    lines: list[str] = []
    for row in found.facts.sample[:SHOWN_ROWS].to_pylist():
        shown = orjson.dumps(_shortened(row), option=orjson.OPT_INDENT_2).decode()
        lines += [*_block(shown, "json"), ""]
    return lines[:-1]


def _shortened(value: Any) -> Any:
    """The value with parsed turns and with long texts cut."""
    if isinstance(value, dict):
        return {name: _shortened(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_shortened(_parsed(one)) for one in value]
    if isinstance(value, str) and len(value) > SHOWN_CHARS:
        return f"{value[:SHOWN_CHARS]}…"
    return value


def _parsed(turn: Any) -> Any:
    """A turn that the data file has as JSON."""
    return orjson.loads(turn) if isinstance(turn, str) else turn


def citation(name: str, history: Sequence[Manifest]) -> str:
    """The BibTeX entry of a release."""
    key = re.sub(r"\W+", "-", name).strip("-")
    year = history[0].began_on[:4]
    return "\n".join(
        [
            f"@misc{{{key},",
            f"  title = {{{name}}},",
            *([f"  year = {{{year}}},"] if year else []),
            f"  note = {{Made with synth-pipeline {history[-1].code}"
            + (f" and {history[-1].teacher.model}" if history[-1].teacher else "")
            + "}",
            "}",
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


def _recipe(recipe: Mapping[str, Any], history: Sequence[Manifest]) -> str:
    return yaml.safe_dump(_public(recipe, history), sort_keys=False, allow_unicode=True).strip()


def _public(recipe: Mapping[str, Any], history: Sequence[Manifest]) -> dict[str, Any]:
    """The recipe without details of the machine: each teacher's model replaces its settings, and
    teachers that were not asked are left out."""
    asked = {
        str(stage.settings.get("teacher") or ""): stage.teacher.model
        for stage in history[:-1]
        if stage.teacher
    }
    public = dict(recipe)
    if "teacher" in public:
        public["teacher"] = asked.get("")
    if "teachers" in public:
        public["teachers"] = {name: model for name, model in asked.items() if name}
    return {key: value for key, value in public.items() if value or not key.startswith("teacher")}


def _block(text: str, language: str) -> list[str]:
    """A code block with a fence longer than any fence in the text."""
    longest = max((len(fence) for fence in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{language}", text, fence]


def _teacher(history: Sequence[Manifest]) -> str:
    """Who wrote the rows; with several models, which stages asked which."""
    stages: dict[TeacherRecord, list[str]] = {}
    for one in history[:-1]:  # the last one is the release
        if one.teacher:
            stages.setdefault(one.teacher, []).append(one.stage)
    if not stages:
        return "No teacher was asked."
    named = []
    for teacher, asked in stages.items():
        revision = f" (server {teacher.revision})" if teacher.revision else ""
        where = f" in {', '.join(f'`{stage}`' for stage in asked)}" if len(stages) > 1 else ""
        named.append(f"`{teacher.model}`{revision}{where}")
    notice = f" {NOTICE}" if any(teacher.model == DEFAULT for teacher in stages) else ""
    return f"Teacher{'s' * (len(stages) > 1)}: {'; '.join(named)}.{notice}"


_COLUMNS = {
    "text": "`text`: the document",
    "messages": "`messages`: the conversation, ending in the answer",
    "prompt": "`prompt`: the conversation to be answered",
    "completion": "`completion`: the answer, as one turn",
    "label": "`label`: whether the answer passed its checks",
    "chosen": "`chosen`: the better answer, as one turn",
    "rejected": "`rejected`: the worse answer, as one turn",
    "solution": "`solution`: the gold answer, if there is one",
    "tools": "`tools`: the tools that the conversation may call, as JSON",
}
