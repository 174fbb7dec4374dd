"""What a recipe may say of a launched teacher, and the command and GPUs that come of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from synth.errors import TeacherFault
from synth.teacher.vllm.gpus import assigned
from synth.teacher.vllm.server import Launch

ROOT = Path(__file__).resolve().parents[3]


def test_the_command_is_vllms() -> None:
    launch = Launch.model_validate(
        {
            "model": "Qwen/Qwen3-8B",
            "tensor_parallel": 2,
            "max_model_len": 8192,
            "extra_args": ["--gpu-memory-utilization", 0.8, "--max-num-seqs", 256],
        }
    )
    words = " ".join(launch.arguments)
    assert words.startswith("vllm serve Qwen/Qwen3-8B --served-model-name Qwen/Qwen3-8B ")
    assert "--tensor-parallel-size 2 --max-model-len 8192 " in words
    assert words.endswith("--gpu-memory-utilization 0.8 --max-num-seqs 256")


def test_a_module_that_is_run_takes_the_model_as_an_option() -> None:
    module = ("python", "-m", "vllm.entrypoints.openai.api_server")
    words = Launch(model="m", command=module).arguments
    assert words[:5] == [*module, "--model", "m"]
    assert "--max-model-len" not in words


@pytest.mark.parametrize(
    ("model", "served", "name"),
    [
        ("Qwen/Qwen3-8B", None, "Qwen/Qwen3-8B"),
        ("/data/models/qwen", None, "qwen"),
        ("./qwen", None, "qwen"),
        ("/data/models/qwen", "Qwen3-8B", "Qwen3-8B"),
    ],
)
def test_a_folders_path_is_not_what_the_model_is_called(
    model: str, served: str | None, name: str
) -> None:
    assert Launch(model=model, served_name=served).name == name


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"extra_args": ["--port", 8000]}, "--port: the run chooses the address of its teacher"),
        ({"extra_args": ["--max_model_len=9"]}, "use the setting `max_model_len`"),
        ({"extra_args": ["-tp", 2]}, "use the setting `tensor_parallel`"),
        ({"extra_args": ["--data-parallel-size=2"]}, "raise `replicas`"),
        ({"extra_args": ["--api-key", "planted"]}, "export VLLM_API_KEY instead"),
        ({"extra_args": "--enforce-eager"}, "write a list of words"),
        ({"command": "vllm serve"}, "write a list of words, like [vllm, serve]"),
        ({"command": []}, "at least 1 item"),
        ({"model": "--help"}, "is an option, not a model's name"),
        ({"env": {"HF_TOKEN": "planted"}}, "HF_TOKEN looks like a secret"),
        ({"env": {"openai_api_key": "planted"}}, "looks like a secret"),
        ({"env": {"A B": "planted"}}, "the name of an environment variable"),
        ({"env": {"A": ["planted"]}}, "A must be text or a number"),
        ({"env": {"CUDA_VISIBLE_DEVICES": 0}}, "use `gpus`"),
        ({"gpus": [0, 0]}, "names a GPU twice"),
        ({"gpus": [-1]}, "expected numbers as in nvidia-smi"),
        ({"gpus": [0], "replicas": 2}, "2 replicas with 1 GPUs each need 2"),
        (
            {"gpus": [0, 1, 2], "replicas": 2, "tensor_parallel": 2},
            "2 replicas with 2 GPUs each need 4",
        ),
    ],
)
def test_what_cannot_work_is_told_before_anything_runs(settings: Any, told: str) -> None:
    with pytest.raises(ValidationError) as error:
        Launch.model_validate({"model": "m"} | settings)
    messages = [mistake["msg"] for mistake in error.value.errors()]
    assert told in messages[0]
    assert "planted" not in messages[0]


def test_numbers_in_env_are_the_words_that_were_meant() -> None:
    launch = Launch.model_validate(
        {"model": "m", "env": {"VLLM_CPU_KVCACHE_SPACE": 1, "TOKENIZERS_PARALLELISM": "false"}}
    )
    assert launch.env == {"VLLM_CPU_KVCACHE_SPACE": "1", "TOKENIZERS_PARALLELISM": "false"}


def visible(launch: Launch, environment: dict[str, str]) -> list[str | None]:
    return [given.get("CUDA_VISIBLE_DEVICES") for given in assigned(launch, environment)]


def driver(folder: Path, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nvidia-smi that says this."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{says}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_each_replica_sees_gpus_of_its_own() -> None:
    two = Launch(model="m", replicas=2, tensor_parallel=2, gpus=(4, 5, 6, 7))
    assert visible(two, {}) == ["4,5", "6,7"]
    assert assigned(two, {})[0]["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert visible(two, {"CUDA_VISIBLE_DEVICES": "0"}) == ["4,5", "6,7"]
    assert visible(Launch(model="m", gpus=("MIG-1c2d/3",)), {}) == ["MIG-1c2d/3"]


def test_the_environments_choice_of_gpus_is_kept() -> None:
    two = Launch(model="m", replicas=2)
    assert visible(two, {"CUDA_VISIBLE_DEVICES": "GPU-b, 3"}) == ["GPU-b", "3"]
    assert assigned(two, {"CUDA_VISIBLE_DEVICES": "1,0"})[0] == {"CUDA_VISIBLE_DEVICES": "1"}
    with pytest.raises(TeacherFault, match=r"need 2 GPUs, but CUDA_VISIBLE_DEVICES names 1 \(2\)"):
        assigned(two, {"CUDA_VISIBLE_DEVICES": "2,-1,3"})
    assert visible(two, {"CUDA_VISIBLE_DEVICES": ""}) == [None, None]


def test_the_driver_tells_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, r"0\n1\n2\n", monkeypatch)
    assert visible(Launch(model="m", replicas=3), {}) == ["0", "1", "2"]
    with pytest.raises(TeacherFault, match=r"this machine has 3 \(0, 1, 2\).*to at most 1"):
        assigned(Launch(model="m", replicas=2, tensor_parallel=2), {})


def test_a_machine_without_gpus_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, r"NVIDIA-SMI has failed\n", monkeypatch)
    assert assigned(Launch(model="m", replicas=2), {}) == [{}, {}]


def test_reading_a_recipe_imports_no_server() -> None:
    code = (
        "import sys, synth.teacher.vllm.config; "
        "print({'aiohttp', 'asyncio', 'numpy', 'pyarrow', 'vllm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == b"set()"
