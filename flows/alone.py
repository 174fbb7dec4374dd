"""Runs filters or verifiers over any data, without a recipe file and without Prefect.

    synth filter pages.parquet --with 'refusal, length: {min_words: 20}, minhash'
    synth verify solutions.jsonl --with maths --column answer=gold

`--with` uses recipe syntax. The command builds a recipe (read, the stages, write) and runs it. Such
a run is resumable, needs bounded memory, and records a reason for every rejected row.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filters.catalogue import FILTERS, VERIFIERS
from filters.dedup.stage import METHODS
from filters.entry import OWN
from flows import loop, strict_yaml
from flows.plan_file import LOADER, save_plan
from flows.progress import ConsoleProgress
from flows.recipe import STAGES
from flows.recipe_file import check
from flows.strict_yaml import Document
from flows.terminal import print_funnel, print_headline, print_verdicts
from seeds.formats import READERS
from seeds.hub import HubDataset
from seeds.inputs import Place, SettingError, find_inputs
from seeds.read import Read
from synth.columns import job_of
from synth.engine.plan import RELEASE, Plan
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import CorpusStage, ShardStage
from synth.errors import ExitCode, InputError, RecipeError, did_you_mean
from synth.paths import is_remote
from synth.store.manifest import run_manifests
from synth.verdict_report import run_verdicts

SHARD_ROWS = 5_000  # more than with a teacher: each row takes milliseconds at most
OPTIONS = {"columns": "column", "format": "format", "split": "split", "limit": "limit"}
"""Maps each setting of `read` to the option that sets it."""
PAIRS = frozenset({"chosen", "rejected"})
"""Columns of preference pairs, which are written as pairs again."""
Part = str | dict[str, Any]


def filter(arguments: Namespace) -> int:  # noqa: A001  named after the command
    """Runs only filters over files or dataset folders."""
    return run_alone(arguments, filter_stages(arguments.parts))


def verify(arguments: Namespace) -> int:
    """Runs only verifiers over files or dataset folders."""
    reject = arguments.reject
    if reject is not None:
        reject = [] if reject == "none" else [part.strip() for part in reject.split(",")]
    return run_alone(arguments, verify_stages(arguments.parts, reject))


def run_alone(arguments: Namespace, stages: Sequence[Mapping[str, Any]]) -> int:
    """Runs the stages over the input and writes the kept rows to a dataset folder.

    Prints the funnel and the verdicts, even if no row is left (`NoRowsError`).
    """
    plan = plan_of(arguments, stages)
    out = arguments.out or Path("outputs") / plan.name

    async def go() -> None:
        with ConsoleProgress() as progress:
            async with open_runner(plan, out, progress) as runner:
                save_plan(plan, out, {})
                runner.loader = LOADER
                await run_stages(runner)

    try:
        loop.run(go())
    finally:
        if manifests := run_manifests(out):
            verifies = any(manifest.verdicts for manifest in manifests)
            found = run_verdicts(out, manifests) if verifies else {}
            print_headline(found)
            print_funnel(manifests)
            print_verdicts(found)
    print(f"\nkept rows: {out / RELEASE}; their scores: {out / RELEASE / 'provenance'}")
    print(f"rejected rows, with their reasons: {out}/*/rejected/")
    return ExitCode.OK


def plan_of(arguments: Namespace, stages: Sequence[Mapping[str, Any]]) -> Plan:
    """Builds the plan: read the input, run the stages, write.

    Raises `RecipeError` with one line per mistake, or `InputError` for unusable input.
    """

    columns = dict(_role_and_column(text) for text in arguments.column)
    inputs = [_place(given) for given in arguments.input]
    try:
        seen = _first_columns(arguments, inputs)
    except SettingError as error:
        raise InputError(_as_option(error)) from error
    known = "answers" if arguments.command == "verify" else job_of(seen, columns)
    job = arguments.job or known
    read = {
        job: inputs,
        "format": arguments.format,
        "split": arguments.split,
        "columns": columns,
        "limit": arguments.limit,
    }
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(arguments.input[0]).resolve().name).strip(".-")
    recipe = {
        "name": f"{arguments.command}-{stem.split('.')[0] or 'input'}",
        "shard_rows": SHARD_ROWS,
        **({"workers": arguments.workers} if arguments.workers else {}),
        "stages": [
            {"read": {key: value for key, value in read.items() if value}},
            *stages,
            {"write": {"format": "preference"} if job == "answers" and seen >= PAIRS else {}},
        ],
    }
    document = Document(recipe, arguments.command)
    document.options.update(
        {("stages", 0, "read", key): f"--{option}" for key, option in OPTIONS.items()}
    )
    document.options["stages", 0, "read", job] = "the input"
    for index, stage in enumerate(stages, 1):
        [name] = stage
        document.options["stages", index] = f"--with {name}"
        document.options["stages", index, name] = "--with"
        document.options["stages", index, name, "reject"] = "--reject"
    plan = check(document, Path(arguments.command))
    source = plan.stages[0]
    assert isinstance(source, Read)
    try:
        source.preflight()  # reports a missing column before anything is written
    except SettingError as error:
        raise InputError(_as_option(error)) from error
    return plan


def _as_option(error: SettingError) -> str:
    """Rewords the message so that it names the command's option instead of the recipe's setting."""
    value = error.value
    if error.key == "columns":
        value = value.strip("{}").replace(": ", "=")
    return f"{error.problem} `--{OPTIONS[error.key]} {value}`{error.rest}"


def filter_stages(given: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the stages for the parts that `--with` names, in the order given.

    A part is a filter, a method of `dedup`, or a stage that needs no teacher. Adjacent parts of
    the same stage are merged into one.
    """
    whole = [
        name
        for name, stage in STAGES.items()
        if issubclass(stage, ShardStage | CorpusStage) and stage.asks_teacher is not True
    ]
    stages: list[dict[str, Any]] = []
    for part in parts(given):
        name, settings = (part, None) if isinstance(part, str) else next(iter(part.items()))
        last = stages[-1] if stages else {}
        if name in METHODS:
            if name in last.get("dedup", (name,)):
                stages.append({"dedup": {}})
            stages[-1]["dedup"][name] = settings
        elif name in FILTERS or name in OWN:
            if "quality" not in last:
                stages.append({"quality": []})
            stages[-1]["quality"].append(part)
        elif name in whole:
            stages.append({name: settings})
        else:
            raise RecipeError(_unknown(name, [*FILTERS, *METHODS, *whole]))
    return stages


def verify_stages(given: Sequence[str], reject: Sequence[str] | None) -> list[dict[str, Any]]:
    """Returns one `verify` stage with the verifiers that `--with` names.

    `reject` lists the verdicts that reject a row; None uses the stage's default.
    """
    checks = parts(given)
    for part in checks:
        name = part if isinstance(part, str) else next(iter(part))
        if name not in VERIFIERS and name not in OWN:
            raise RecipeError(_unknown(name, list(VERIFIERS), "verifier"))
    settings: dict[str, Any] = {"checks": checks}
    return [{"verify": settings if reject is None else {**settings, "reject": list(reject)}}]


def parts(given: Sequence[str]) -> list[Part]:
    """Parses the values of `--with` into a recipe's list: names, or names with parameters."""
    found: list[Part] = []
    for text in given:
        items = strict_yaml.parse(f"[{text}]".encode(), f"--with {text!r}").value
        for item in items[0] if len(items) == 1 and isinstance(items[0], list) else items:
            if not isinstance(item, str | dict) or not item:
                raise RecipeError(f"--with {text!r}: {item!r} is not a name; use recipe syntax")
            found.append(item)
    return found


def _role_and_column(text: str) -> tuple[str, str]:
    role, separator, column = text.partition("=")
    if not separator or not role or not column:
        raise RecipeError(f"--column {text!r}: expected ROLE=NAME, such as text=body")
    return role, column


def _place(given: str) -> str | dict[str, str]:
    """Returns an input as in a recipe; `hub:org/name` is a dataset on the Hub."""
    scheme, colon, name = given.partition(":")
    return {"hub": name} if scheme == "hub" and colon else given


def _first_columns(
    arguments: Namespace, inputs: Sequence[str | Mapping[str, str]]
) -> frozenset[str]:
    """Returns the columns of the first file."""
    forced = arguments.format if arguments.format in READERS else None
    places: list[Place] = [
        HubDataset.model_validate(one)
        if isinstance(one, Mapping)
        else one
        if is_remote(one)
        else Path(one).expanduser()
        for one in inputs
    ]
    first = find_inputs(places, forced=forced, split=arguments.split)[0]
    most = Read.model_fields["max_line_bytes"].default
    return frozenset(first.reader.ahead(first.path, web=True, max_bytes=most).columns)


def _unknown(name: object, known: Sequence[str], what: str = "filter") -> str:
    return (
        f"--with: unknown {what} {str(name)!r}; known: {', '.join(known)}, or "
        f"{{use: 'package.module:name'}}{did_you_mean(str(name), known)}"
    )
