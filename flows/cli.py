"""The command line, `synth`."""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from flows.proxies import spare_loopback
from flows.start_line import start_line
from synth import __version__
from synth.errors import ExitCode, SynthError, did_you_mean

EPILOG = """\
exit codes: 0 done · 1 internal error, please report it ·
2 invalid command, recipe or input, nothing written ·
3 teacher, disk or Prefect failed, rerun to resume · 4 another run is using the folder ·
5 no rows left · 6 budget or deadline reached, raise it and rerun to resume ·
7 a guard stopped the run · 130 interrupted, rerun to resume
"""


class Command(NamedTuple):
    """A command: its function in `flows`, its help text, and an example."""

    place: str
    does: str
    example: str


COMMANDS = {
    "run": Command(
        "run_command:run",
        "run a recipe, or resume an unfinished run",
        "synth run quickstart --limit 20",
    ),
    "preview": Command(
        "preview:preview",
        "run a recipe on a few rows and show the results",
        "synth preview distill-answers --rows 3 --teacher http://127.0.0.1:8000/v1",
    ),
    "plan": Command(
        "plan_command:plan",
        "run a sample and project requests, tokens, rows, hours and cost of the whole run",
        "synth plan distill-answers --rows 50 --teacher http://127.0.0.1:8000/v1",
    ),
    "check": Command("check:check", "check a recipe without running it", "synth check my.yaml"),
    "filter": Command(
        "alone:filter",
        "run filters on a file or dataset folder, without a recipe",
        "synth filter pages.jsonl --with 'gopher, repetition, minhash'",
    ),
    "verify": Command(
        "alone:verify",
        "verify answers in a file or dataset folder",
        "synth verify answers.jsonl --with maths",
    ),
    "recipes": Command("check:recipes", "list the shipped recipes", "synth recipes"),
    "schema": Command(
        "check:schema", "print the recipe's JSON schema", "synth schema > recipe.schema.json"
    ),
    "show": Command(
        "show:show",
        "show the funnel and samples of a run, check its files, or compare two runs",
        "synth show outputs/quickstart --check",
    ),
    "report": Command(
        "report.command:report",
        "write a run's report: a page with plots and rows, and its figures as JSON",
        "synth report outputs/quickstart",
    ),
    "trace": Command(
        "trace_terminal:command",
        "show how a row was made, with prompts and replies",
        "synth trace 1f3a",
    ),
    "prompts": Command(
        "prompts:command",
        "show the prompts that a recipe sends for a row, without a teacher",
        "synth prompts textbook --row 2",
    ),
    "calibrate": Command(
        "calibrate:calibrate",
        "compare a judge's grades with human grades",
        "synth calibrate graded.jsonl --teacher http://127.0.0.1:8000/v1",
    ),
    "rollback": Command(
        "rollback:rollback",
        "return to an earlier release of an incremental run",
        "synth rollback outputs/nightly --to 3",
    ),
    "push": Command(
        "push_command:push",
        "publish a run's release on the Hugging Face Hub",
        "synth push outputs/quickstart --repo me/my-dataset",
    ),
    "pull": Command(
        "push_command:pull",
        "download a published release from the Hub",
        "synth pull me/my-dataset",
    ),
    "teacher": Command(
        "teacher_command:teacher",
        "launch a recipe's teacher, or check servers",
        "synth teacher start distill-answers",
    ),
    "serve": Command(
        "serving:serve",
        "run a recipe on a schedule until stopped",
        'synth serve distill-answers --cron "0 3 * * *" --timezone Europe/Berlin',
    ),
}
"""In the order of `synth --help`. Each command's module is imported only when it is called."""

RESUMABLE = ("run", "plan", "filter", "verify", "calibrate", "push")


class _Parser(argparse.ArgumentParser):
    """Suggests the closest command for a mistyped one. A command refuses unknown arguments with its
    own usage."""

    def parse_known_args(  # type: ignore[override]  # overloads for namespaces of other types
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        # argparse would pass them up to the parser of `synth`, whose usage lists the commands only
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if found:
            known = re.findall(r"[\w-]+", found[2])
            meant = did_you_mean(found[1], known) or f"; known: {', '.join(known)}"
            message = f"unknown command {found[1]!r}{meant}"
        super().error(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code. User errors show no traceback."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)  # a stopped service ends as cleanly as Ctrl-C
    try:
        spare_loopback()
        if arguments.command == "run" and (line := start_line(arguments)):
            print(line, file=sys.stderr, flush=True)
        module, function = COMMANDS[arguments.command].place.split(":")
        with _fetched(arguments):
            return int(getattr(import_module(f"flows.{module}"), function)(arguments))
    except SynthError as error:
        _report(f"synth: {error}")
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        what = str(interrupt)  # of a schedule
        if arguments.command in RESUMABLE:
            what = "Nothing is lost: run the same command again to resume."
        print(f"\nsynth: interrupted. {what}".rstrip(), file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader closed the pipe (`synth show … | head`)
        return ExitCode.OK


def _report(message: str) -> None:
    """Prints an error. On a terminal, wraps it between words but never inside a path."""
    for line in message.split("\n"):
        if sys.stderr.isatty():
            room = shutil.get_terminal_size().columns
            line = textwrap.fill(line, room, break_long_words=False, break_on_hyphens=False)
        print(line, file=sys.stderr)


def _fetched(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """The working copies of runs at addresses such as s3://bucket/run, in their place."""
    places = (getattr(arguments, name, None) for name in ("run", "other"))
    if not any(isinstance(place, str) for place in places):
        return nullcontext()
    fetched: AbstractContextManager[None] = import_module("flows.at_place").fetched_runs(arguments)
    return fetched


def _folder(out: str) -> Path:
    """A folder on this machine."""
    if "://" in out:
        raise argparse.ArgumentTypeError(f"{out} is an address: this command needs a folder")
    return Path(out)


def _place(out: str) -> str | Path:
    """A folder, or an address. `Path` would make one slash of the two in an address."""
    return out if "://" in out else Path(out)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="synth",
        description="Makes datasets with a teacher model: evolve, rewrite, distill, filter.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"synth {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _command(commands, "run")
    _add_recipe(run)
    run.add_argument(
        "--out", type=_place, help="folder of the run, or s3://BUCKET/RUN (default: outputs/NAME)"
    )
    again = run.add_mutually_exclusive_group()
    again.add_argument(
        "--from",
        dest="first",
        metavar="STAGE",
        help="repeat this stage and all later ones, with the replies in the journal",
    )
    again.add_argument(
        "--fresh",
        action="store_true",
        help="start over: delete the run's stages, journals and release; asks first",
    )
    run.add_argument("--yes", action="store_true", help="with --fresh: do not ask")
    _add_metrics(run)

    preview = _command(commands, "preview")
    _add_recipe(preview, limit=False)
    preview.add_argument("--rows", type=_positive, default=5, help="rows to read (default: 5)")
    preview.add_argument("--html", type=Path, metavar="FILE", help="also save it as an HTML page")

    plan = _command(commands, "plan")
    _add_recipe(plan)
    plan.add_argument("--rows", type=_positive, default=50, help="rows of the sample (default: 50)")
    plan.add_argument("--out", type=_folder, help="folder of the run (default: outputs/NAME)")
    plan.add_argument("--json", action="store_true", help="print one JSON object")

    check = _command(commands, "check")
    _add_recipe(check)

    some = _command(commands, "filter")
    _add_alone(some, "filters", "'refusal, length: {min_words: 20}, minhash'")

    checks = _command(commands, "verify")
    _add_alone(checks, "verifiers", "'maths, json_schema: {against: city.json}'")
    checks.add_argument(
        "--reject",
        metavar="VERDICTS",
        help="verdicts that reject a row: any of fail, error, unverified, not_applicable, "
        "or none (default: fail,error)",
    )

    _command(commands, "recipes")

    schema = _command(commands, "schema")
    schema.add_argument(
        "--markdown", action="store_true", help="print Markdown, as in docs/reference.md"
    )

    show = _command(commands, "show")
    show.add_argument("run", type=_place, help="folder of the run, e.g. outputs/quickstart")
    show.add_argument("other", type=_place, nargs="?", help="another run, to compare with")
    show.add_argument(
        "--check",
        action="store_true",
        help="compare every shard, receipt, journaled reply and released file with its checksum",
    )
    show.add_argument(
        "--clean",
        action="store_true",
        help="free disk space of a finished run; docs/records.md says what is then missing",
    )
    show.add_argument(
        "--rejected",
        nargs="?",
        const="",
        metavar="REASON",
        help="show rejected rows, all or for one reason",
    )
    show.add_argument("--rows", type=_positive, help="rows to show (default: 3; rejected: 20)")
    show.add_argument(
        "--json", action="store_true", help="print the run's figures as one JSON object"
    )

    report = _command(commands, "report")
    report.add_argument("run", type=_place, help="folder of the run, e.g. outputs/quickstart")

    trace = _command(commands, "trace")
    trace.add_argument("id", help="id of the row, or its first characters")
    trace.add_argument("--run", type=_place, help="folder of its run (default: search outputs/)")
    trace.add_argument("--json", action="store_true", help="print one JSON object")

    prompts = _command(commands, "prompts")
    _add_recipe(prompts, limit=False)
    prompts.add_argument(
        "--row", type=_positive, default=1, help="number of the input row (default: 1)"
    )
    prompts.add_argument("--json", action="store_true", help="print one request body per line")

    calibrate = _command(commands, "calibrate")
    calibrate.add_argument(
        "gold",
        type=Path,
        help="JSONL with prompt, text and score, or with prompt, chosen and rejected",
    )
    calibrate.add_argument("--teacher", required=True, help="address of a served model")
    calibrate.add_argument("--rubric", help="a shipped rubric, or the path of your own")
    calibrate.add_argument(
        "--seed", type=int, default=0, help="seed of the judge's sampling (default: 0)"
    )

    back = _command(commands, "rollback")
    back.add_argument("run", type=_place, help="folder of the run, e.g. outputs/nightly")
    back.add_argument(
        "--to",
        type=_positive,
        metavar="N",
        help="number of the release (default: the previous one)",
    )

    push = _command(commands, "push")
    push.add_argument("run", type=_place, help="folder of the run, e.g. outputs/quickstart")
    push.add_argument("--repo", required=True, help="organisation/name of the dataset")
    push.add_argument(
        "--public", action="store_true", help="make the dataset public (default: private)"
    )
    push.add_argument("--tag", help="tag of the commit (default: release-HASH)")
    push.add_argument(
        "--allow",
        metavar="KINDS",
        help="kinds of personal data or secrets that may be published, e.g. 'email, phone'",
    )
    push.add_argument(
        "--dry-run", action="store_true", help="show what would change on the Hub, change nothing"
    )
    push.add_argument("--yes", action="store_true", help="do not ask before publishing")

    pull = _command(commands, "pull")
    pull.add_argument("repo", help="organisation/name of the dataset")
    pull.add_argument("--out", type=_folder, help="folder (default: outputs/NAME)")
    pull.add_argument("--revision", help="branch, tag or commit (default: main)")

    teacher = _command(commands, "teacher")
    actions = teacher.add_subparsers(dest="action", required=True, metavar="ACTION")
    start = actions.add_parser(
        "start", help="launch a recipe's teacher and keep it running until Ctrl-C"
    )
    _add_recipe(start, limit=False, teacher=False)
    start.add_argument(
        "--logs", type=Path, help="folder of its logs (default: outputs/NAME/teacher)"
    )
    status = actions.add_parser("status", help="show whether servers answer, and their load")
    status.add_argument("url", nargs="+", help="address of a server, e.g. http://127.0.0.1:8000/v1")
    status.add_argument(
        "--api-key-env", metavar="NAME", help="environment variable that holds the API key"
    )

    serve = _command(commands, "serve")
    _add_recipe(serve)
    serve.add_argument("--cron", required=True, help='when to run, e.g. "0 3 * * *"')
    serve.add_argument("--timezone", default="UTC", help="time zone of the schedule (default: UTC)")
    serve.add_argument(
        "--out", type=_place, help="folder of the run, or s3://BUCKET/RUN (default: outputs/NAME)"
    )
    serve.add_argument(
        "--work-pool",
        metavar="NAME",
        help="deploy the recipe to this work pool of your Prefect server, and return",
    )
    _add_metrics(serve)
    return parser


def _command(commands: argparse._SubParsersAction[_Parser], name: str) -> _Parser:
    _, does, example = COMMANDS[name]
    return commands.add_parser(
        name,
        help=does,
        description=f"{does[0].upper()}{does[1:]}.",
        epilog=f"example: {example}",
    )


def _add_recipe(
    parser: argparse.ArgumentParser, *, limit: bool = True, teacher: bool = True
) -> None:
    parser.add_argument("recipe", help="a shipped recipe's name, or the path of a .yaml file")
    if teacher:
        parser.add_argument("--teacher", help="address of a served model, or `embedded`")
    if limit:
        parser.add_argument("--limit", type=_positive, help="maximum number of rows to read")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="change a value of the recipe, e.g. stages.evolve.rounds=2 (may be repeated)",
    )


def _add_metrics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        help="serve Prometheus metrics at this address during the run, e.g. 127.0.0.1:9400",
    )


def _add_alone(parser: argparse.ArgumentParser, parts: str, example: str) -> None:
    """Adds the arguments of a command that runs filters or verifiers over any data."""
    parser.add_argument(
        "input", nargs="+", help="JSONL, Parquet, CSV, Arrow or text: files, or dataset folders"
    )
    parser.add_argument(
        "--with",
        dest="parts",
        required=True,
        action="append",
        metavar="NAMES",
        help=f"{parts} to run, in recipe syntax, e.g. {example} (may be repeated)",
    )
    parser.add_argument(
        "--as",
        dest="job",
        choices=("prompts", "web", "answers"),
        help="kind of rows (default: detected from the columns)",
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="column with the text, prompt, response …, e.g. text=body (may be repeated)",
    )
    parser.add_argument("--split", help="split of a dataset folder to read")
    parser.add_argument("--format", help="format of files without a known extension")
    parser.add_argument("--limit", type=_positive, help="maximum number of rows to read")
    parser.add_argument(
        "--out", type=_folder, help="folder of the result (default: under outputs/)"
    )
    parser.add_argument(
        "--workers", type=_positive, help="maximum number of processes (default: one for each core)"
    )


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
