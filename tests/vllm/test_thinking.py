"""A thinking budget, which only the server can keep: it ends the reasoning, and the model answers.

No small model that reasons comes with an install. So the template opens the reasoning, as those of
DeepSeek-R1 and Qwen3-Thinking do, and two tokens that SmolLM2 does not use open and close it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synth.errors import TeacherFault
from tests.lines import rows
from tests.vllm.runs import run
from tests.vllm.servers import MODEL, OPTIONS, Served, kept_up

Row = dict[str, Any]
pytestmark = pytest.mark.vllm

TOKENS = {"<issue_start>": "<think>", "<issue_comment>": "</think>"}
OPENED = "<|im_start|>assistant\n<think>\nLet me think about this."
PROMPTS = (
    "Why is the sky blue?",
    "Why is 1 + 1 not 1?",
    "Why do cats sleep?",
    "How is bread made?",
)
SAMPLES, BUDGET, MOST = 2, 16, 64


def reasoning_model(folder: Path) -> Path:
    """The same weights, with a tokenizer that knows the two tokens, and a template that opens the
    reasoning."""
    folder.mkdir()
    whole = Path(os.environ[MODEL])
    for file in whole.iterdir():
        (folder / file.name).symlink_to(file)
    tokenizer = json.loads((whole / "tokenizer.json").read_text(encoding="utf-8"))
    for token in tokenizer["added_tokens"]:
        if new := TOKENS.get(token["content"]):
            tokenizer["model"]["vocab"][new] = tokenizer["model"]["vocab"].pop(token["content"])
            token |= {"content": new, "special": False}  # special tokens are not in a reply's text
    template = (whole / "chat_template.jinja").read_text(encoding="utf-8")
    opening = template[template.rindex("<|im_start|>assistant") :].partition("'")[0]
    texts = {
        "tokenizer.json": json.dumps(tokenizer),
        "chat_template.jinja": template.replace(opening, OPENED),
    }
    for name, text in texts.items():
        (folder / name).unlink()
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def reasoning(_there: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that splits reasoning off."""
    folder = tmp_path_factory.mktemp("reasoning")
    model = str(reasoning_model(folder / "model"))
    options = [*OPTIONS, "--reasoning-parser", "deepseek_r1"]
    with kept_up(folder, model=model, extra_args=options) as server:
        yield server


def distill(folder: Path, server: Served, **sampling: int) -> tuple[list[Row], list[Row]]:
    """The kept and the rejected answers."""
    asked = (json.dumps({"prompt": prompt}) + "\n" for prompt in PROMPTS)
    (folder / "sums.jsonl").write_text("".join(asked))
    settings = {"samples": SAMPLES, "sampling": {"max_tokens": MOST, **sampling}}
    recipe = {
        "name": "thinking",
        "stages": [{"read": {"prompts": "sums.jsonl"}}, {"distill": settings}, "write"],
    }
    (folder / "thinking.yaml").write_text(json.dumps(recipe))
    run(folder / "thinking.yaml", folder / "run", server.teacher())
    return (
        rows(folder / "run", "01-distill/kept/*.parquet"),
        rows(folder / "run", "01-distill/rejected/*.parquet"),
    )


def words(row: Row) -> int:
    """The words of the reasoning; each has a token or more."""
    return len((row["reasoning"] or "").split())


def test_vllm_ends_the_reasoning_at_the_budget(reasoning: Served, tmp_path: Path) -> None:
    kept, left = distill(tmp_path, reasoning, thinking_token_budget=BUDGET)
    assert len(kept) + len(left) == len(PROMPTS) * SAMPLES
    assert max(map(words, [*kept, *left])) <= BUDGET
    assert any(row["text"] for row in [*kept, *left])  # written on, where the server had ended it
    assert not any("think>" in row["text"] for row in [*kept, *left])
    # so small a model often ends before the budget does, or right after it
    reasons = {"reasoning_unfinished", "reply_empty", "reply_truncated"}
    assert {row["reason"] for row in left} <= reasons


def test_without_a_budget_replies_that_only_reason_have_a_reason_of_their_own(
    reasoning: Served, tmp_path: Path
) -> None:
    kept, left = distill(tmp_path, reasoning)
    assert not kept
    reasons = {row["reason"] for row in left}
    assert "reasoning_unfinished" in reasons
    assert reasons <= {"reasoning_unfinished", "reply_empty"}
    assert max(map(words, left)) > BUDGET


def test_a_server_without_the_option_is_refused_before_the_first_request(
    served: Served, tmp_path: Path
) -> None:
    with pytest.raises(TeacherFault, match="--reasoning-parser"):
        distill(tmp_path, served, thinking_token_budget=BUDGET)
