"""What is said of an engine's log: where the loading stands, why it failed, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth.teacher.vllm.log import hider, last_progress, lines_since, why

FAILED = """\
(APIServer pid=1) INFO 11-22 01:04:11 [api_server.py:7] vLLM API server version 0.32.0
(EngineCore pid=2) ERROR 11-22 01:04:20 [core.py:946] EngineCore failed to start.
(EngineCore pid=2) ERROR 11-22 01:04:20 [core.py:946] Traceback (most recent call last):
(EngineCore pid=2) ERROR 11-22 01:04:20 [core.py:946] ValueError: {cause}
{traceback}
(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.
"""


def told(folder: Path, cause: str) -> str:
    log = folder / "teacher-1.log"
    traceback = "\n".join(f'(APIServer pid=1)   File "a.py", line {n}' for n in range(40))
    log.write_text(FAILED.format(cause=cause, traceback=traceback))
    return why(log, 0, lambda text: text)


def test_the_cause_is_told_though_the_logs_end_is_another_processs(tmp_path: Path) -> None:
    said = told(tmp_path, "Free memory on device (3.1/80 GiB) on startup is less than desired.")
    assert "it says: ValueError: Free memory on device (3.1/80 GiB)" in said
    assert "try: there is too little memory for the model: lower `max_model_len`" in said
    assert "--gpu-memory-utilization" in said
    assert f"the end of {tmp_path / 'teacher-1.log'}:" in said
    assert said.count("\n    ") == 12


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "max_model_len"),
        ("No available memory for the cache blocks. Try increasing", "--gpu-memory-utilization"),
        ("max seq len needs 8 GiB KV cache, which is larger … KV cache is needed", "max_model_len"),
        ("401 Client Error. Cannot access gated repo for url", "hf auth login"),
        ("meta/none is not a local folder and is not a valid model identifier", "model's name"),
        ("api_server.py: error: unrecognized arguments: --nonsense", "vllm serve --help=all"),
        ("Failed to infer device type, please set", "nvidia-smi"),
        ("User-specified max_model_len (9) is greater than the derived", "lower it"),
        ("Total number of attention heads (3) must be divisible by tensor parallel", "divided"),
        ("(8/10 GiB) is less than requested memory for kv", "max_model_len"),
        ("Cannot find …, outgoing traffic has been disabled.", "HF_HUB_OFFLINE"),
        ("No package metadata was found for vllm", "vllm.entrypoints.openai.api_server"),
        ("OSError: [Errno 28] No space left on device", "HF_HOME"),
    ],
)
def test_each_usual_failure_says_what_to_try(tmp_path: Path, cause: str, advice: str) -> None:
    [said] = [line for line in told(tmp_path, cause).splitlines() if line.startswith("  try: ")]
    assert advice in said


def test_a_wrong_setting_is_told_by_its_own_line(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "  Value error, User-specified max_model_len (9) is greater than the derived\n"
    )
    assert "  it says: Value error, User-specified max_model_len" in why(log, 0, str)
    assert why(log, 0, str).count("it says") == 1


@pytest.mark.parametrize(
    ("line", "no_chat_model"),
    [
        ("you must provide a chat template if the tokenizer does not define one.", True),
        ("There is no chat template fallback for Qwen/Qwen3-8B", False),
        ("Detected the chat template content format to be 'string'.", False),
        ("Using supplied chat template: None", False),
        ("Chat template warmup completed in 12.3ms", False),
        ("If the model has a chat template, make sure to apply it", False),
    ],
)
def test_only_a_chat_template_that_is_missing_makes_it_no_chat_model(
    tmp_path: Path, line: str, no_chat_model: bool
) -> None:
    assert ("the model is not a chat model" in told(tmp_path, line)) == no_chat_model


def test_an_unusual_failure_says_no_more_than_it_knows(tmp_path: Path) -> None:
    assert "try:" not in told(tmp_path, "the moon is full")


def test_an_empty_or_missing_log_is_told_too(tmp_path: Path) -> None:
    assert why(tmp_path / "no.log", 0, str).strip() == f"its log {tmp_path / 'no.log'} is empty"


def test_only_the_present_process_counts(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("CUDA out of memory\n")
    begin = log.stat().st_size
    with log.open("a") as file:
        file.write("loading\n")
    assert lines_since(log, begin) == ["loading"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "(EngineCore pid=9) INFO 11-22 01:04:11 [loader.py:3] Loading weights took 1.2 seconds",
            "Loading weights took 1.2 seconds",
        ),
        ("INFO 11-22 01:04:11 [a.py:1] Capturing\n \n=======\n", "Capturing"),
        ("Loading shards:   0% | 0/2\rLoading shards:  50% | 1/2\r", "Loading shards:  50% | 1/2"),
        ("\x1b[1;36m(EngineCore pid=9)\x1b[0;0m INFO 11-22 01:04:11 [a.py:1] Warm", "Warm"),
        ("", ""),
        ("x" * 200, "x" * 99 + "…"),
    ],
)
def test_the_last_line_that_says_something_is_where_the_loading_stands(
    tmp_path: Path, text: str, said: str
) -> None:
    log = tmp_path / "a.log"
    log.write_text(text)
    assert last_progress(lines_since(log, 0)) == said


def test_secrets_are_named_and_not_shown() -> None:
    hide = hider(
        {"HF_TOKEN": "hf_planted", "MY_API_KEY": "planted", "HOME": "/home/ada", "A_TOKEN": "true"},
        {"WHERE": "planted-place", "LEVEL": "DEBUG"},
    )
    text = "planted hf_planted planted-place DEBUG /home/ada true, Authorization: Bearer abc.def"
    assert hide(text) == (
        "$MY_API_KEY $HF_TOKEN $WHERE DEBUG /home/ada true, Authorization: Bearer (a token)"
    )
    assert hide("hf_AbCdEfGhIj012") == "(a token)"
    assert hider({}, {})("nothing to hide") == "nothing to hide"
