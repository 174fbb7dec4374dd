"""Whether filtered data trains a better student: four arms of equal tokens, several seeds each.

    python -m benchmarks.student                      writes docs/does-it-help.md and its plot
    python -m benchmarks.student --quick              the same table at a small size
    python -m benchmarks.student --student smollm2    a real teacher and student; an hour or two
    python -m benchmarks.student --page               writes the page again from the saved figures

Two simulated teachers answer short tasks. The project's own stages make each arm from the same
answers. A small transformer learns each arm from nothing, and `maths` checks what it answers. Each
trained arm is saved under `outputs/student`, so that a stopped run continues.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, NamedTuple

from benchmarks import short_tasks, student_page
from benchmarks.processes import ENVIRONMENTS, ROOT, elsewhere
from benchmarks.report import machine, skip, table
from benchmarks.short_tasks import ALWAYS, OFTEN, TEACHERS, UNSEEN, Task, samples, tasks
from benchmarks.students.pieces import Pieces
from filters.verify.maths.verifier import Maths
from flows import Run, run
from synth.teacher.embedded import Embedded, model_file
from synth.verdicts import Verdict
from tests.vllm.environment import UnavailableError, install

PACKAGES = ("torch==2.13.0", "trl==1.16.0", "gguf==0.19.0")
OUTPUTS = ROOT / "outputs" / "student"
QUALITY = {
    "quality": [
        *("length", "truncation", "refusal", "loops", "chat_tokens", "stray_script"),
        *("placeholders", "echo", "arithmetic"),
    ]
}  # as the recipe `distill-answers`
VERIFY = {"verify": {"checks": ["maths"], "require": "applicable"}}
ARMS: dict[str, list[dict[str, Any]]] = {
    "unfiltered": [],
    "quality": [QUALITY],
    "verified": [QUALITY, VERIFY],
    "deduplicated": [QUALITY, VERIFY, {"dedup": {"exact": {}, "on": "prompt"}}],
}
"""The stages of each arm: one more than the arm before."""
SMOLLM2_ARMS = ("unfiltered", "verified")
AT_ONCE = 2
"""Students that train side by side, on one core each."""
HUMAN = ("types", "objects", "execmodel", "naming")
HUMAN_CHARS = 12_000


class Size(NamedTuple):
    """How large a run is."""

    tasks: int
    held_out: int
    seeds: int
    steps: int


FULL, QUICK = Size(2_000, 500, 5, 1_000), Size(400, 100, 2, 200)
SMOLLM2_FULL, SMOLLM2_QUICK = Size(2_000, 500, 3, 0), Size(24, 10, 1, 0)  # one pass over an arm
SMOLLM2_TOKENS = 25_000
"""What each SmolLM2 learns from at most: more takes hours on two cores."""
SMOLLM2_ASKED = 150
"""Held-out tasks that each SmolLM2 answers at most, evenly spaced: a minute on two cores."""


class Row(NamedTuple):
    """What a student learns from."""

    prompt: str
    answer: str


def release(name: str, stages: Sequence[dict[str, Any]], folder: Path, **recipe: Any) -> Path:
    """Runs the stages, and returns the release."""
    stages = [*stages, {"write": {"format": "prompt_completion"}}]
    return run({"name": name, **recipe, "stages": stages}, out=folder / name).release


def rows_of(released: Path) -> list[Row]:
    """The prompts and answers of a release, in order."""
    rows = Run(released.parent).rows()
    return [Row(row["prompt"][-1]["content"], row["completion"][-1]["content"]) for row in rows]


def arms(given: Sequence[Task], teacher: str, folder: Path) -> dict[str, list[Row]]:
    """The rows of each arm: the project's stages make all of them from the same answers."""
    folder.mkdir(parents=True, exist_ok=True)
    answers = folder / f"{teacher}.jsonl"
    text = "".join(json.dumps(row) + "\n" for row in samples(given, teacher))
    answers.write_text(text, encoding="utf-8")
    read = {"read": {"answers": str(answers)}}
    return {
        arm: rows_of(release(f"{teacher}-{arm}", [read, *stages], folder))
        for arm, stages in ARMS.items()
    }


def equal_tokens(
    made: dict[str, list[Row]], count: Callable[[Row], int], seed: int
) -> dict[str, list[Row]]:
    """Rows of each arm, drawn at random, up to the number of tokens that the smallest arm has."""
    most = min(sum(map(count, rows)) for rows in made.values())
    return {arm: _drawn(rows, count, most, f"{seed} {arm}") for arm, rows in made.items()}


def _drawn(rows: list[Row], count: Callable[[Row], int], most: int, seed: str) -> list[Row]:
    drawn = []
    for row in random.Random(seed).sample(rows, len(rows)):
        if (tokens := count(row)) <= most:
            drawn.append(row)
            most -= tokens
    return drawn


def is_right(task: Task, said: str) -> bool:
    """Whether the answer is the gold one: `maths` says so, or it is the gold answer itself."""
    if said.strip().rstrip(".") == task.answer:
        return True  # `maths` does not read a bare word such as "Friday"
    return Maths().check_text(said, task.answer, task.prompt).verdict is Verdict.PASS


def scores(held_out: Sequence[Task], answers: Sequence[str]) -> dict[str, float]:
    """The share of right answers: of all tasks, and of each group of kinds."""
    groups: dict[str, list[bool]] = {}
    for task, said in zip(held_out, answers, strict=True):
        group = "often" if task.kind in OFTEN else "always" if task.kind in ALWAYS else "other"
        for name in ("all", "unseen" if task.kind in UNSEEN else group):
            groups.setdefault(name, []).append(is_right(task, said))
    return {name: sum(right) / len(right) for name, right in groups.items()}


def human_text() -> str:
    """Pages of Python's reference manual, which comes with every Python."""
    return "\n".join(topics[name] for name in HUMAN)[:HUMAN_CHARS]


def environment() -> Path:
    """The Python that has torch and TRL; installs them at first use."""
    try:
        return install(ENVIRONMENTS / "student", PACKAGES, (), "torch, trl")
    except UnavailableError as error:
        skip(f"skipped: torch and TRL cannot be installed here: {error}")


def saved(place: Path, key: object, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of the work, which is not done again for the same key."""
    digest = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    if place.is_file():
        found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        if found.pop("key") == digest:
            return found
    done = work()
    unfinished = place.with_suffix(".unfinished")
    unfinished.write_text(json.dumps({"key": digest, **done}), encoding="utf-8")
    unfinished.rename(place)
    return done


def tiny(size: Size, folder: Path) -> dict[str, Any]:
    """The figures of the small student: for each teacher and arm, one of each seed."""
    python = environment()
    given = tasks(size.tasks, size.held_out)
    vocabulary = [
        f"{row['prompt']} {row['response']}"
        for teacher in TEACHERS
        for row in samples(given.train, teacher)
    ]
    pieces = Pieces(vocabulary)

    def count(row: Row) -> int:
        return len(pieces.asked(row.prompt)) + len(pieces.answered(row.answer))

    made = {teacher: arms(given.train, teacher, folder) for teacher in TEACHERS}
    data = folder / "data.json"
    asked = [task.prompt for task in given.held_out]
    shown = {"vocabulary": vocabulary, "asked": asked, "human": human_text()}
    data.write_text(json.dumps(shown), encoding="utf-8")
    students = ROOT / "benchmarks" / "students"
    code = [(students / name).read_text(encoding="utf-8") for name in ("pieces.py", "tiny.py")]
    drawn = {
        teacher: [equal_tokens(made[teacher], count, seed) for seed in range(size.seeds)]
        for teacher in TEACHERS
    }

    def learn(teacher: str, arm: str) -> dict[str, Any]:
        rows = [of_seed[arm] for of_seed in drawn[teacher]]
        task = {"seeds": list(range(size.seeds)), "steps": size.steps}
        started = time.monotonic()
        done = saved(
            folder / f"{teacher}-{arm}.json",
            [code, shown, rows, task],
            lambda: elsewhere(
                "benchmarks.students.tiny:train", python, data=str(data), rows=rows, **task
            ),
        )
        print(f"{teacher}, {arm}: {time.monotonic() - started:.0f} s", flush=True)
        return {
            "rows": len(made[teacher][arm]),
            "right": right_share(given.train, made[teacher][arm]),
            "drawn": len(rows[0]),
            "drawn_tasks": len({row.prompt for row in rows[0]}),
            "tokens": sum(map(count, rows[0])),
            "scores": by_group(scores(given.held_out, one["answers"]) for one in done["runs"]),
            "human": [one["human"] for one in done["runs"]],
            "cpu_s": round(done["cpu_s"], 1),
            "parameters": done["parameters"],
        }

    names = [(teacher, arm) for teacher in TEACHERS for arm in ARMS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        learnt = list(pool.map(lambda name: learn(*name), names))
    found: dict[str, dict[str, Any]] = {teacher: {} for teacher in TEACHERS}
    for (teacher, arm), figures in zip(names, learnt, strict=True):
        found[teacher][arm] = figures
    return {
        "settings": {
            **size._asdict(),
            "samples": short_tasks.SAMPLES,
            "parameters": learnt[0]["parameters"],
            "tokens_known": len(pieces.tokens),
        },
        "cpu_minutes": round(sum(one["cpu_s"] for one in learnt) / 60, 1),
        "teachers": found,
    }


def right_share(given: Sequence[Task], rows: Iterable[Row]) -> float:
    """The share of rows whose answer is right."""
    of = {task.prompt: task for task in given}
    found = [is_right(of[row.prompt], row.answer) for row in rows]
    return sum(found) / len(found) if found else 0.0


def by_group(runs: Iterable[dict[str, float]]) -> dict[str, list[float]]:
    """For each group of kinds, the scores of the seeds."""
    found: dict[str, list[float]] = {}
    for one in runs:
        for group, score in one.items():
            found.setdefault(group, []).append(score)
    return found


def smollm2(size: Size, folder: Path) -> dict[str, Any]:
    """The figures of SmolLM2-135M, which learns from its own answers: unfiltered, and verified."""
    python = environment()
    given = tasks(size.tasks, size.held_out)
    folder.mkdir(parents=True, exist_ok=True)
    prompts = folder / "prompts.jsonl"
    lines = (json.dumps({"prompt": one.prompt, "answer": one.answer}) + "\n" for one in given.train)
    prompts.write_text("".join(lines), encoding="utf-8")
    distill = {
        "samples": short_tasks.SAMPLES,
        "examples": {"file": str(ROOT / "seeds/starter/examples.jsonl"), "count": 8},
        "sampling": {"temperature": 0.6, "max_tokens": 64},
    }  # as the recipe `quickstart`
    asking = [{"read": {"prompts": str(prompts)}}, {"distill": distill}]
    releases = {"unfiltered": release("unfiltered", asking, folder, teacher="embedded")}
    read = {"read": {"answers": str(releases["unfiltered"])}}
    releases["verified"] = release("verified", [read, *ARMS["verified"]], folder)
    model = elsewhere(
        "benchmarks.students.smollm2:convert",
        python,
        gguf=str(model_file(Embedded())),
        folder=str(folder / "model"),
    )["folder"]
    counted = elsewhere(
        "benchmarks.students.smollm2:count",
        python,
        model=model,
        releases=[str(released) for released in releases.values()],
    )["tokens"]
    held_out = given.held_out[:: -(-len(given.held_out) // SMOLLM2_ASKED)]
    common = {
        "model": model,
        "tokens": min(*counted, SMOLLM2_TOKENS),
        "asked": [task.prompt for task in held_out],
        "human": human_text(),
    }

    def learn(arm: str, seed: int) -> dict[str, Any]:
        started = time.monotonic()
        task = {**common, "release": str(releases[arm]) if arm in releases else None, "seed": seed}
        rows = rows_of(releases[arm]) if arm in releases else []
        done = saved(
            folder / f"{arm}-{seed}.json",
            [rows, task],
            lambda: elsewhere("benchmarks.students.smollm2:train", python, **task),
        )
        print(f"smollm2, {arm}, seed {seed}: {time.monotonic() - started:.0f} s", flush=True)
        return done

    found, cpu_s = {}, 0.0
    for arm in ("untrained", *SMOLLM2_ARMS):
        runs = [learn(arm, seed) for seed in range(1 if arm == "untrained" else size.seeds)]
        rows = rows_of(releases[arm]) if arm in releases else []
        found[arm] = {
            "rows": len(rows),
            "right": right_share(given.train, rows),
            "drawn": runs[0]["rows"],
            "drawn_tasks": runs[0]["tasks"],
            "tokens": runs[0]["tokens"],
            "scores": by_group(scores(held_out, one["answers"]) for one in runs),
            "human": [one["human"] for one in runs],
        }
        cpu_s += sum(one["cpu_s"] for one in runs)
    return {
        "settings": {**size._asdict(), "asked": len(held_out), "samples": short_tasks.SAMPLES},
        "cpu_minutes": round(cpu_s / 60, 1),
        "teachers": {"smollm2": found},
    }


def show(measured: dict[str, Any]) -> None:
    """Prints the figures."""
    for teacher, found in measured["teachers"].items():
        print(f"\n{teacher} teacher" if teacher in TEACHERS else f"\n{teacher}")
        table(student_page.HEAD, student_page.lines(found))


def main() -> None:
    """Trains, shows the figures, and writes the page if they are of the full size."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.student",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--student", choices=("tiny", "smollm2"), default="tiny")
    parser.add_argument("--quick", action="store_true", help="a small size; the page stays")
    parser.add_argument("--page", action="store_true", help="write the page, train nothing")
    given = parser.parse_args()
    if not given.page:
        folder = OUTPUTS / f"{given.student}{'-quick' if given.quick else ''}"
        if given.student == "tiny":
            measured = tiny(QUICK if given.quick else FULL, folder)
        else:
            measured = smollm2(SMOLLM2_QUICK if given.quick else SMOLLM2_FULL, folder)
        measured["machine"] = machine()
        measured["date"] = datetime.now().astimezone().date().isoformat()
        show(measured)
        results = folder / "results.json" if given.quick else student_page.RESULTS[given.student]
        results.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        print(f"\nthe figures are in {results}")
    if not given.quick:
        student_page.write()


if __name__ == "__main__":
    main()
