"""The chat templates that TRL ships render rows with tools and reasoning as they should."""

from __future__ import annotations

from importlib.resources import files

import pytest

from tests.trl.loading import tokenizer, train

TEMPLATES = {
    path.name.removesuffix(".jinja"): path.read_text(encoding="utf-8")
    for path in sorted(files("trl").joinpath("chat_templates").iterdir(), key=str)
    if path.name.endswith(".jinja")
}
TOKENIZER = tokenizer()
REASON = "Because 0."


def rendered(template: str, row: dict) -> str:
    return TOKENIZER.apply_chat_template(
        row["messages"], tools=row.get("tools"), chat_template=TEMPLATES[template], tokenize=False
    )


QWEN3 = """<|im_start|>system
Be brief.<|im_end|>
<|im_start|>user
Q0<|im_end|>
<|im_start|>assistant
<think>
Because 0.
</think>

A0<|im_end|>
"""


@pytest.mark.parametrize("form", ["field", "thinking", "inline"])
def test_qwen3_reads_the_reasoning_in_every_form(form):
    rows = train(f"reasoning_{form}")
    assert rendered("qwen3", rows[0]) == QWEN3
    assert "Because" not in rendered("qwen3", rows[4])


def test_dropped_reasoning_is_in_no_template():
    row = train("reasoning_drop")[0]
    assert all("Because" not in rendered(name, row) for name in ("qwen3", "gptoss", "glm4moe"))


@pytest.mark.parametrize("form", ["field", "thinking"])
def test_gpt_oss_reads_the_reasoning_as_its_analysis(form):
    rows = train(f"reasoning_{form}")
    end = "<|start|>assistant<|channel|>final<|message|>A0<|return|>"
    analysis = f"<|start|>assistant<|channel|>analysis<|message|>{REASON}<|end|>"
    assert rendered("gptoss", rows[0]).endswith(analysis + end)
    assert "analysis<|message|>" not in rendered("gptoss", rows[4])


THINKING = ("glm4moe", "lfm2_2_5", "nemotron_3_nano", "qwen3_5_think", "qwen3_8", "gemma4_v5")


@pytest.mark.parametrize("template", THINKING)
def test_other_thinking_models_read_it_too(template):
    assert REASON in rendered(template, train("reasoning_field")[0])


CALLS = {
    "qwen3": (
        '<|im_start|>assistant\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n'
        "</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\nrain\n</tool_response>"
        "<|im_end|>\n"
    ),
    "llama3_1": (
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        '{"name": "weather", "parameters": {"city": "Oslo"}}<|eot_id|>'
        '<|start_header_id|>ipython<|end_header_id|>\n\n"rain"<|eot_id|>'
    ),
    "gptoss": (
        "<|start|>assistant to=functions.weather<|channel|>commentary json<|message|>"
        '{"city": "Oslo"}<|call|><|start|>functions.weather to=assistant<|channel|>commentary'
        '<|message|>"rain"<|end|>'
    ),
    "qwen2_5": '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    "glm4moe": "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>",
    "deepseekv3_training": 'weather\n```json\n{"city": "Oslo"}\n```',
    "qwen3_8": "<function=weather>\n<parameter=city>\nOslo\n</parameter>",
}


@pytest.mark.parametrize("template", CALLS)
def test_a_tool_call_and_its_result_are_rendered(template):
    rows = train("tools")
    text = rendered(template, rows[0])
    assert CALLS[template] in text
    assert "Yes, it rains." in text
    if template != "deepseekv3_training":  # it has no place for the tools
        assert "The weather." in text
    assert "weather" not in rendered(template, rows[1])


@pytest.mark.parametrize("template", CALLS)
def test_whole_runs_end_in_a_call_or_in_the_answer_to_its_result(template):
    call, answer = train("tools_distilled")
    end = CALLS[template].partition("Oslo")[0].rstrip().splitlines()[-1]  # before the argument
    before, _, after = rendered(template, call).rpartition(end)
    assert before
    assert "Oslo" in after
    [used] = train("tools_used")
    for row, said in ((answer, "No, it is cold."), (used, "Yes, it rains.")):
        text = rendered(template, row)
        assert text.index(end) < text.index(said)
    if template != "deepseekv3_training":
        assert all("The weather." in rendered(template, row) for row in (call, answer, used))


def test_no_template_takes_a_plain_row_of_a_release_with_tools_for_a_call():
    plain = train("messages")
    rows = train("tools")
    for name in TEMPLATES:
        if "llava" in name or "vlm" in name or "idefics" in name:  # content must be a list
            continue
        # without the system turn, which some templates refuse
        turns = [{**turn} for turn in rows[1]["messages"][1:]]
        turns[-1].pop("reasoning_content")
        expected = rendered(name, {"messages": plain[0]["messages"][1:]})
        assert rendered(name, {"messages": turns}) == expected, name


def test_smollm2_reads_each_mark_as_one_token():
    TOKENIZER.chat_template = TEMPLATES["qwen3"]
    row = train("reasoning_field")[0]
    ids = TOKENIZER.apply_chat_template(row["messages"], return_dict=True)["input_ids"]
    assert TOKENIZER.decode(ids) == QWEN3
    assert ids == TOKENIZER(QWEN3)["input_ids"]
    start, end = TOKENIZER.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert (ids.count(start), ids.count(end)) == (3, 3)
