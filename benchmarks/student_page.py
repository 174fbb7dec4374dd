"""The page about `benchmarks.student`, and its plot: both are made from the saved figures alone."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import short_tasks
from benchmarks.processes import ROOT

PAGE, PLOT = ROOT / "docs" / "does-it-help.md", ROOT / "docs" / "does-it-help.svg"
TEMPLATE = ROOT / "benchmarks" / "student_page.md"
RESULTS = {
    "tiny": ROOT / "benchmarks" / "student.json",
    "smollm2": ROOT / "benchmarks" / "student_smollm2.json",
}
HEAD = (
    *(
        "arm",
        "right answers in it",
        "tokens",
        "tasks",
        "right",
        "95 % interval",
        "gap",
        "gap / error",
    ),
    *("unseen kinds", "human text"),
)
FIRST = "unfiltered"
NAMES = {"deduplicated": "verified, deduplicated", "quality": "quality filters"}
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Student's t, two-sided 95 %, by degrees of freedom."""
CLEAR = 2.0
"""A gap of this many standard errors counts as a difference."""


def interval(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean, by Student's t; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    return T95[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))


def over_error(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The gap between two means over its standard error (Welch); None if the error is unknown."""
    if min(len(ours), len(theirs)) < 2:
        return None
    error = math.sqrt(
        statistics.variance(ours) / len(ours) + statistics.variance(theirs) / len(theirs)
    )
    return (statistics.mean(ours) - statistics.mean(theirs)) / error if error else None


def lines(found: dict[str, Any]) -> list[list[str]]:
    """The table's rows: an arm each."""
    first, made = found[FIRST]["scores"]["all"], []
    for arm, figures in found.items():
        right = figures["scores"]["all"]
        mean, error = statistics.mean(right), over_error(right, first)
        made.append(
            [
                NAMES.get(arm, arm),
                f"{figures['right']:.0%} of {figures['rows']:,}" if figures["rows"] else "",
                f"{figures['tokens']:,}" if figures["tokens"] else "",
                f"{figures['drawn_tasks']:,}" if figures["tokens"] else "",
                f"{mean:.3f}",
                f"± {interval(right):.3f}" if len(right) > 1 else "",
                "" if arm in (FIRST, "untrained") else f"{mean - statistics.mean(first):+.3f}",
                "" if arm in (FIRST, "untrained") or error is None else f"{error:.1f}",
                f"{statistics.mean(figures['scores']['unseen']):.3f}",
                f"{statistics.mean(figures['human']):.2f}",
            ]
        )
    return made


def sentence(teacher: str, found: dict[str, Any]) -> str:
    """What filtering did to the student of this teacher, in words."""
    first = found[FIRST]["scores"]["all"]
    parts = []
    for arm, figures in found.items():
        if arm not in (FIRST, "untrained"):
            right = figures["scores"]["all"]
            gap, error = statistics.mean(right) - statistics.mean(first), over_error(right, first)
            clear = error is not None and abs(error) >= CLEAR
            what = ("a clear gain" if gap > 0 else "a clear loss") if clear else "no clear change"
            parts.append(f"{NAMES.get(arm, arm)}: **{what}** ({100 * gap:+.1f} points)")
    return "\n".join([f"- {teacher}", *(f"  - {part}" for part in parts)])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


GROUPS = {
    "other": "read correctly",
    "often": f"misread in {short_tasks.OFTEN_RATE:.0%}",
    "always": "always misread",
    "unseen": "never trained on",
}


def by_kind(found: dict[str, Any]) -> str:
    """The share of right answers in each group of kinds."""
    rows = [
        [
            NAMES.get(arm, arm),
            *(f"{statistics.mean(figures['scores'][group]):.3f}" for group in GROUPS),
        ]
        for arm, figures in found.items()
    ]
    return markdown(["arm", *GROUPS.values()], rows)


def page(tiny: dict[str, Any], smollm2: dict[str, Any] | None) -> str:
    """The page of these figures."""
    settings, teachers = tiny["settings"], tiny["teachers"]
    return TEMPLATE.read_text(encoding="utf-8").format(
        **settings,
        **{name: tiny[name] for name in ("date", "machine")},
        minutes=round(tiny["cpu_minutes"]),
        sentences="\n".join(sentence(title(name), found) for name, found in teachers.items()),
        tables="\n".join(results(name, found) for name, found in teachers.items()),
        groups=by_kind(teachers["systematic"]),
        smollm2=real(smollm2),
        clear=f"{CLEAR:.0f}",
        lower=lower_loss(teachers.values()),
        kinds=len(short_tasks.KINDS),
        often=", ".join(f"`{kind}`" for kind in short_tasks.OFTEN),
        always=" and ".join(f"`{kind}`" for kind in short_tasks.ALWAYS),
        unseen=" and ".join(f"`{kind}`" for kind in short_tasks.UNSEEN),
        random_rate=f"{short_tasks.RANDOM_RATE:.0%}",
        often_rate=f"{short_tasks.OFTEN_RATE:.0%}",
        fault_rate=f"{short_tasks.FAULT_RATE:.0%}",
        budgets=" and ".join(
            f"{found[FIRST]['tokens']:,} ({name})" for name, found in teachers.items()
        ),
    )


def lower_loss(teachers: Iterable[dict[str, Any]]) -> str:
    """How many filtered arms lower the loss on human text, such as `0 of 6`."""
    falls = [
        statistics.mean(figures["human"]) < statistics.mean(found[FIRST]["human"])
        for found in teachers
        for arm, figures in found.items()
        if arm != FIRST
    ]
    return f"{sum(falls)} of {len(falls)}"


def title(teacher: str) -> str:
    """The teacher's name in a sentence."""
    return f"{teacher.capitalize()} errors"


def results(teacher: str, found: dict[str, Any]) -> str:
    """The teacher's table under its heading."""
    return f"### {title(teacher)}\n\n{markdown(HEAD, lines(found))}\n"


def real(measured: dict[str, Any] | None) -> str:
    """The figures of SmolLM2-135M, or that there are none yet."""
    if measured is None:
        return "We have not measured this yet. Its parts have run only at a tiny size."
    [found], settings = measured["teachers"].values(), measured["settings"]
    return (
        f"{sentence('Compared with unfiltered answers', found)}\n\n"
        f"{markdown(HEAD, lines(found))}\n\n"
        f"{settings['tasks']:,} tasks, and {settings['seeds']} seeds per arm. Each student answers "
        f"{settings['asked']} held-out tasks. "
        f"Measured on {measured['date']}, with {measured['cpu_minutes'] / 60:.1f} CPU hours of "
        f"training: {measured['machine']}. The figures are in `benchmarks/student_smollm2.json`."
    )


LEFT, WIDE, TOP, LINE = 190, 520, 44, 34
STYLE = """
  .paper { fill: #ffffff } text { fill: #1f2328; font: 14px system-ui, sans-serif }
  .small { font-size: 12px } .head { font-weight: 600 } .grid { stroke: #d1d9e0 }
  .seed { fill: #0969da; opacity: 0.45 } .mean { stroke: #0550ae; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #f0f6fc } .grid { stroke: #3d444d }
    .seed { fill: #4493f8 } .mean { stroke: #79c0ff }
  }
"""


def plot(measured: dict[str, Any]) -> str:
    """The share of right answers: a dot per seed, the mean and its 95 % interval per arm."""
    teachers = measured["teachers"]
    parts, y = [], 0
    for teacher, found in teachers.items():
        y += TOP
        parts.append(f'<text class="head" x="16" y="{y - 14}">{title(teacher)}</text>')
        bottom = y + LINE * len(found)
        for tick in range(0, 11, 2):
            x = _x(tick / 10)
            parts.append(f'<path class="grid" d="M{x} {y}V{bottom}"/>')
            parts.append(
                f'<text class="small" x="{x}" y="{bottom + 16}" text-anchor="middle">'
                f"{tick / 10:.1f}</text>"
            )
        for arm, figures in found.items():
            right, middle = figures["scores"]["all"], y + LINE // 2
            mean, half = statistics.mean(right), interval(right)
            parts.append(
                f'<text x="{LEFT - 12}" y="{middle + 5}" text-anchor="end">'
                f"{NAMES.get(arm, arm)}</text>"
            )
            parts += [f'<circle class="seed" cx="{_x(one)}" cy="{middle}" r="4"/>' for one in right]
            low, high = _x(max(0.0, mean - half)), _x(min(1.0, mean + half))
            parts.append(
                f'<path class="mean" d="M{low} {middle}H{high}M{_x(mean)} {middle - 8}v16"/>'
            )
            parts.append(
                f'<text class="small" x="{LEFT + WIDE + 16}" y="{middle + 4}">{mean:.3f}</text>'
            )
            y += LINE
        y += 24
    height, width = y + 30, LEFT + WIDE + 70
    parts.append(
        f'<text class="small" x="{LEFT + WIDE // 2}" y="{height - 12}" text-anchor="middle">'
        "share of held-out tasks answered correctly: seeds, mean, 95 % interval</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n<style>{STYLE}</style>\n'
        f'<rect class="paper" width="{width}" height="{height}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _x(share: float) -> float:
    return round(LEFT + WIDE * share, 1)


def saved(student: str) -> dict[str, Any] | None:
    """The saved figures, if there are any."""
    path = RESULTS[student]
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write() -> None:
    """Writes the page and its plot from the saved figures."""
    tiny = saved("tiny")
    if tiny is None:
        raise SystemExit(f"{RESULTS['tiny']} is missing: run `python -m benchmarks.student` first")
    PAGE.write_text(page(tiny, saved("smollm2")), encoding="utf-8")
    PLOT.write_text(plot(tiny), encoding="utf-8")
    print(f"wrote {PAGE} and {PLOT}")
