"""Releases in others' hands: TRL's trainers and templates, polars, duckdb, Croissant's check.

    python -m tests.trl [ENVIRONMENT [PYTEST ARGUMENTS]]

This Python makes the releases. The environment's Python, which has TRL and not this package, tests
them. Where TRL cannot be installed, one line says so, and the command ends well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from synth.teacher.embedded import Embedded, model_file
from tests.trl.releases import make
from tests.vllm.environment import UnavailableError, install

PACKAGES = (
    *("torch==2.13.0", "trl==1.16.0", "gguf==0.19.0"),
    *("polars==2.1.0", "duckdb==2.0.1", "mlcroissant==1.1.1", "pytest==9.2.0"),
)
TESTS = ("trainers.py", "templates.py", "readers.py")
"""Named so that the project's own pytest does not collect them."""
LIMIT_S = 900  # two minutes on an idle machine of two cores


def main(environment: str = ".venv-trl", *options: str) -> int:
    """The exit code: 0 also where the tests are skipped."""
    try:
        python = install(Path(environment).absolute(), PACKAGES, (), "trl, polars, duckdb")
    except UnavailableError as error:
        print(f"skipped: the tests with TRL, which cannot be installed here: {error}")
        return 0
    with tempfile.TemporaryDirectory(prefix="synth-trl-") as folder:
        make(Path(folder) / "releases")
        here = Path(__file__).parent
        env = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "RELEASES": str(Path(folder) / "releases"),
            "TOKENIZER": str(model_file(Embedded())),
            "HF_HOME": str(Path(folder) / "hf"),
            "HF_HUB_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        # neither this project's conftest nor its options: they need its own packages
        pytest = [str(python), "-m", "pytest", "-c", os.devnull, "--noconftest", "-q"]
        cache = ["-p", "no:cacheprovider", "--rootdir", folder, "-W", "ignore"]
        tests = [str(here / name) for name in TESTS]
        done = subprocess.run(
            [*pytest, *cache, *tests, *options], env=env, cwd=folder, check=False, timeout=LIMIT_S
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
