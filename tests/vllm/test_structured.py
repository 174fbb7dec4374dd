"""What only a served model can give: JSON that follows a schema, and the tokens' probabilities."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tests.lines import rows
from tests.vllm.runs import run
from tests.vllm.servers import Served

pytestmark = pytest.mark.vllm

SCHEMA = {
    "type": "object",
    "properties": {
        "sum": {"type": "integer"},
        "sure": {"type": "boolean"},
        "kind": {"enum": ["small", "large"]},
    },
    "required": ["sum", "sure", "kind"],
    "additionalProperties": False,
}
SAMPLES, PROMPTS = 3, 6


def test_each_answer_follows_the_schema_and_tells_its_probabilities(
    served: Served, tmp_path: Path
) -> None:
    prompts = (json.dumps({"prompt": f"What is {n} + 1?"}) + "\n" for n in range(PROMPTS))
    (tmp_path / "sums.jsonl").write_text("".join(prompts))
    distill = {
        "samples": SAMPLES,
        "json_schema": SCHEMA,
        "logprobs": True,
        "sampling": {"max_tokens": 64, "temperature": 1},
    }
    run(
        "distill-answers",
        tmp_path / "run",
        served.teacher(),
        f"stages.read.prompts={tmp_path / 'sums.jsonl'}",
        "stages.1.dedup={exact: {}}",
        f"stages.2.distill={json.dumps(distill)}",
        "stages.4.quality=[refusal]",
        "stages.5.dedup={exact: {}}",
    )
    kept = rows(tmp_path / "run", "02-distill/kept/*.parquet")
    left = rows(tmp_path / "run", "02-distill/rejected/*.parquet")
    assert len(kept) + len(left) == SAMPLES * PROMPTS
    # an integer may have more digits than there is room for
    assert {row["reason"] for row in left} <= {"reply_truncated"}
    assert len(kept) > PROMPTS
    for row in kept:
        said = json.loads(row["text"])
        assert said.keys() == {"sum", "sure", "kind"}
        assert said["sum"] == int(said["sum"])  # 7.0 is an integer as well
        assert said["sure"] in (True, False)
        assert said["kind"] in ("small", "large")
        assert all(one <= 0 for one in row["logprobs"])
    # vLLM counts the tokens of a request, all its samples together
    requests = defaultdict(list)
    for row in kept:
        requests[row["trail"][-1]["request"]].append(row)
    whole = [samples for samples in requests.values() if len(samples) == SAMPLES]
    assert whole
    for samples in whole:
        tokens = sum(row["trail"][-1]["tokens_out"] for row in samples)
        assert sum(len(row["logprobs"]) for row in samples) == tokens
