"""The command line, `synth`. Imports late, so that `synth --help` answers at once."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from synth import __version__
from synth.errors import ExitCode, SynthError

EPILOG = """\
exit codes: 0 done · 1 a bug of ours · 2 wrong command, recipe or input, nothing written ·
3 teacher, disk or Prefect failed, the same command resumes · 4 another run holds the folder ·
5 no row survived · 130 interrupted, the same command resumes
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code. What can be told in a message shows no traceback."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)  # a stopped service ends as cleanly as Ctrl-C
    try:
        from flows import commands

        return int(getattr(commands, arguments.command)(arguments))
    except SynthError as error:
        print(f"synth: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "\nsynth: interrupted. Nothing is lost: run the same command again to go on.",
            file=sys.stderr,
        )
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone (`synth show … | head`)
        return ExitCode.OK


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="synth",
        description="Makes datasets with a teacher model: evolve, rewrite, distill, filter.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"synth {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a recipe to its end, or go on with it")
    _add_recipe(run)
    run.add_argument("--out", type=Path, help="folder of the run (default: outputs/NAME)")

    preview = commands.add_parser("preview", help="run some rows at once and show them")
    _add_recipe(preview, limit=False)
    preview.add_argument("--rows", type=_positive, default=5, help="rows to read (default: 5)")

    check = commands.add_parser("check", help="check a recipe without running it")
    _add_recipe(check)

    some = commands.add_parser("filter", help="run filters alone over a file or dataset folder")
    _add_alone(some, "filters", "'refusal, length: {min_words: 20}, minhash'")

    checks = commands.add_parser("verify", help="check answers in a file or dataset folder")
    _add_alone(checks, "verifiers", "'maths, json_schema: {against: city.json}'")
    checks.add_argument(
        "--reject",
        metavar="VERDICTS",
        help="verdicts that make a row leave, of fail, error, unverified and not_applicable, or "
        "none (default: fail,error)",
    )

    commands.add_parser("recipes", help="list the shipped recipes")

    schema = commands.add_parser("schema", help="print the recipe's JSON schema")
    schema.add_argument("--markdown", action="store_true", help="as Markdown: docs/reference.md")

    show = commands.add_parser("show", help="show the funnel and samples of a run")
    show.add_argument("run", type=Path, help="folder of the run, e.g. outputs/quickstart")
    show.add_argument("--rows", type=int, default=3, help="samples to show (default: 3)")

    trace = commands.add_parser("trace", help="show how a row came to be, with prompts and replies")
    trace.add_argument("id", help="id of the row, or how it begins")
    trace.add_argument("--run", type=Path, help="folder of its run (default: the one in outputs/)")
    trace.add_argument("--json", action="store_true", help="as one JSON object")

    prompts = commands.add_parser("prompts", help="show what a recipe asks of a row, asking nobody")
    _add_recipe(prompts, limit=False)
    prompts.add_argument("--row", type=_positive, default=1, help="row of the input (default: 1)")
    prompts.add_argument("--json", action="store_true", help="one request body per line")

    calibrate = commands.add_parser(
        "calibrate", help="hold a judge against rows that people graded"
    )
    calibrate.add_argument(
        "gold", type=Path, help="JSONL: prompt, text, score; or prompt and a pair"
    )
    calibrate.add_argument("--teacher", required=True, help="address of a served model")
    calibrate.add_argument("--rubric", help="a shipped rubric, or the path of one's own")
    calibrate.add_argument("--seed", type=int, default=0, help="of the judge's sampling")

    push = commands.add_parser("push", help="publish a run's release on the Hugging Face Hub")
    push.add_argument("run", type=Path, help="folder of the run, e.g. outputs/quickstart")
    push.add_argument("--repo", required=True, help="organisation/name of the dataset")
    push.add_argument("--public", action="store_true", help="public (default: private)")
    push.add_argument("--tag", help="also tag the commit")

    teacher = commands.add_parser(
        "teacher", help="keep a launched teacher up, or see how one fares"
    )
    actions = teacher.add_subparsers(dest="action", required=True, metavar="ACTION")
    start = actions.add_parser(
        "start", help="launch a recipe's teacher and keep it up until Ctrl-C"
    )
    _add_recipe(start, limit=False, teacher=False)
    start.add_argument(
        "--logs", type=Path, help="folder of its logs (default: outputs/NAME/teacher)"
    )
    status = actions.add_parser("status", help="do teachers answer, and how busy are they")
    status.add_argument("url", nargs="+", help="address of a server, e.g. http://127.0.0.1:8000/v1")
    status.add_argument("--api-key-env", metavar="NAME", help="environment variable with its key")

    serve = commands.add_parser("serve", help="run a recipe on a schedule until stopped")
    _add_recipe(serve)
    serve.add_argument("--cron", required=True, help='when to run, e.g. "0 3 * * *"')
    serve.add_argument("--timezone", default="UTC", help="of the schedule (default: UTC)")
    serve.add_argument("--out", type=Path, help="folder of the run (default: outputs/NAME)")
    return parser


def _add_recipe(
    parser: argparse.ArgumentParser, *, limit: bool = True, teacher: bool = True
) -> None:
    parser.add_argument("recipe", help="a shipped recipe's name, or the path of a .yaml file")
    if teacher:
        parser.add_argument("--teacher", help="address of a served model, or `embedded`")
    if limit:
        parser.add_argument("--limit", type=_positive, help="read at most so many rows")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="set a value of the recipe, e.g. stages.evolve.rounds=2 (may be repeated)",
    )


def _add_alone(parser: argparse.ArgumentParser, parts: str, example: str) -> None:
    """The arguments of a command that runs a part of the line over any data."""
    parser.add_argument(
        "input", nargs="+", help="JSONL, Parquet, CSV, Arrow or text: files, or dataset folders"
    )
    parser.add_argument(
        "--with",
        dest="parts",
        required=True,
        action="append",
        metavar="NAMES",
        help=f"the {parts}, with parameters as in a recipe, e.g. {example} (may be repeated)",
    )
    parser.add_argument(
        "--as",
        dest="job",
        choices=("prompts", "web", "answers"),
        help="what the rows are (default: what their columns say)",
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="which column is the text, prompt, response …, e.g. text=body (may be repeated)",
    )
    parser.add_argument("--split", help="which split of a dataset folder")
    parser.add_argument("--format", help="how to read files whose names do not say it")
    parser.add_argument("--limit", type=_positive, help="read at most so many rows")
    parser.add_argument("--out", type=Path, help="folder of the result (default: under outputs/)")


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
