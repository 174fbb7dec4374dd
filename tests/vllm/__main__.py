"""The pipeline against a real vLLM: environment, model, tests. What `make test-vllm` runs.

    python -m tests.vllm [ENVIRONMENT [PYTEST ARGUMENTS]]

With SLOW=1 in the environment those run too that start four engines one after the other. With
ENOUGH_S=600, a machine so slow that they take longer runs only the first of them, and says so; the
first failure then ends them.
Where vLLM cannot be installed it says so in a line and ends well: that is the machine's lack. What
fails after that is ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.vllm.environment import UnavailableError, install
from tests.vllm.model import converted
from tests.vllm.servers import MODEL, PYTHON

LIMIT_S = 1500  # 4 to 12 minutes on an idle machine of two cores


def main(environment: str = ".venv-vllm", *options: str) -> int:
    """The exit code: 0 also where the tests are skipped."""
    started = time.monotonic()
    try:
        python = install(Path(environment).absolute())
    except UnavailableError as error:
        print(f"skipped: the tests with a real vLLM, which cannot be installed here: {error}")
        return 0
    model = converted(python)
    print(f"vLLM and the model are there, {time.monotonic() - started:.0f} s", flush=True)
    which = "vllm" if os.environ.get("SLOW") else "vllm and not slow"
    tests = [str(Path(__file__).parent), "-m", which, "-n0", "--durations=8"]
    enough = int(os.environ.get("ENOUGH_S") or 0)
    if enough:
        tests.append("-x")  # so that a limit reached means that all before have passed
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *tests, *options],
        env={**os.environ, PYTHON: str(python), MODEL: str(model)},
    ) as pytest:
        try:
            return pytest.wait(enough or LIMIT_S)
        except subprocess.TimeoutExpired:
            pytest.send_signal(signal.SIGINT)  # it ends its engines
            pytest.wait()
    if enough:
        print(f"stopped: the tests with a real vLLM took over {enough} s; those that ended passed")
        return 0
    print(f"failed: the tests with a real vLLM took over {LIMIT_S} s")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
