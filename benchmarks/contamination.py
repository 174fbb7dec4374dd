"""Share of rephrased test items that tiers 1 and 2 of `decontaminate` find; false positives.

The positives are items of GSM8K and HumanEval that a model rephrased (llm-decontaminator,
arXiv:2311.04850). The negatives are our own word problems, with a judge that is always right.
`--data` is a folder with gsm8k_test.jsonl, humaneval.jsonl, rephrased_gsm8k.jsonl and
rephrased_humaneval_python.jsonl.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.labelled import FOLDER, labelled
from benchmarks.report import options, result, table, timed
from benchmarks.word_problems import word_problems
from filters.contamination.index import Index, Match, build
from filters.contamination.items import Items
from filters.contamination.stage import Decontaminate

SETTINGS = Decontaminate.model_validate({"against": ["gsm8k", "humaneval"], "judge": {}})
SETS = {
    "gsm8k": ("gsm8k_test", ["question"], "rephrased_gsm8k", 0.97),
    "humaneval": (
        "humaneval",
        ["prompt", "canonical_solution"],
        "rephrased_humaneval_python",
        0.95,
    ),
}
FLAGGED_GOAL = 0.02


def rows(data: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a file."""
    return labelled(data / f"{name}.jsonl", "arXiv:2311.04850 and the benchmarks themselves")


def index_over(data: Path) -> Index:
    """The items of both benchmarks, as the stage indexes them."""
    sets = [
        Items(name, ["\n".join(row[column] for column in columns) for row in rows(data, file)])
        for name, (file, columns, _, _) in SETS.items()
    ]
    return build(sets, SETTINGS.ngram_words, SETTINGS.short_ngram_words)


def rephrased(data: Path, name: str) -> list[str]:
    """The rephrased items, a few of which are empty."""
    return [row["text"] for row in rows(data, SETS[name][2])]


def candidates(finding: Match) -> list[int]:
    """The item that tier 1 found, and the items that tier 3 would ask the judge about."""
    assert SETTINGS.judge is not None
    near = finding.near[: SETTINGS.judge.most]
    found = [one.item for one in near if one.similarity >= SETTINGS.candidate]
    return [finding.hit.item, *found] if finding.hit else found


def originals(index: Index, name: str, texts: Sequence[str]) -> list[int]:
    """The item that each text rephrases. Both files are in the benchmark's order. If there are
    fewer texts than items, takes the increasing assignment with the greatest total likeness."""
    own = [item for item, (owner, _) in enumerate(index.owners) if owner == name]
    if len(own) == len(texts):
        return own
    like = np.zeros((len(texts), len(own)))
    for row, finding in enumerate(index.look([[text] for text in texts], len(index.texts))):
        for one in finding.near:
            if one.item in own:
                like[row, one.item - own[0]] = one.similarity
    best = np.zeros((len(texts) + 1, len(own) + 1))
    for row in range(len(texts)):
        best[row + 1, : row + 1] = -1e9
        for item in range(row, len(own)):
            best[row + 1, item + 1] = max(best[row + 1, item], best[row, item] + like[row, item])
    found, item = [], len(own)
    for row in reversed(range(len(texts))):
        while best[row + 1, item] == best[row + 1, item - 1]:
            item -= 1
        item -= 1
        found.append(own[item])
    return found[::-1]


def found_rate(index: Index, data: Path, name: str) -> float:
    """The share of non-empty rephrased items whose original is a candidate."""
    texts = rephrased(data, name)
    owners = originals(index, name, texts)
    findings = index.look([[text] for text in texts], SETTINGS.judge.most if SETTINGS.judge else 1)
    found = [
        owner in candidates(finding)
        for text, owner, finding in zip(texts, owners, findings, strict=True)
        if text.strip()
    ]
    return sum(found) / len(found)


def flagged_rate(index: Index, texts: Sequence[str]) -> tuple[float, float]:
    """For texts without items: the share that is rejected although the judge always says no, and
    the number of questions to the judge per text."""
    findings = index.look([[text] for text in texts], SETTINGS.judge.most if SETTINGS.judge else 1)
    hits = sum(finding.hit is not None for finding in findings)
    asked = sum(len(candidates(finding)) for finding in findings if finding.hit is None)
    return hits / len(texts), asked / len(texts)


def main() -> None:
    """Measures and reports."""
    given = options(__doc__, data=FOLDER, negatives=5_000)
    index = index_over(given.data)
    index.look([["warm"]], 3)
    found = {name: found_rate(index, given.data, name) for name in SETS}
    by_ngrams = {
        name: float(np.mean([f.hit is not None for f in index.look([[t] for t in texts], 1)]))
        for name in SETS
        if (texts := [text for text in rephrased(given.data, name) if text.strip()])
    }
    negatives = word_problems(given.negatives)
    (flagged, asked), seconds = timed(lambda: flagged_rate(index, negatives))
    per_second = len(negatives) / seconds
    table(
        ["rephrased items of", "found by tiers 1 and 2", "goal", "by n-grams alone"],
        [
            [name, f"{rate:.1%}", f"{SETS[name][3]:.0%}", f"{by_ngrams[name]:.1%}"]
            for name, rate in found.items()
        ],
    )
    print(
        f"\n{len(negatives)} word problems that are not items: {flagged:.2%} rejected with a judge "
        f"that always says no (goal: under {FLAGGED_GOAL:.0%}); {asked:.2f} questions per row, "
        f"{per_second:.0f} rows per CPU second"
    )
    for name, rate in found.items():
        unit, peer = f"share of rephrased {name} items found", ("n-grams alone", by_ngrams[name])
        result("contamination", rate, unit, peer, SETS[name][3])
    limit = ("limit", FLAGGED_GOAL)
    unit = "share of other word problems rejected"
    more = {"judge_questions": asked, "rows_per_cpu_s": per_second}
    result("contamination", flagged, unit, limit, FLAGGED_GOAL, "lower", **more)


if __name__ == "__main__":
    main()
