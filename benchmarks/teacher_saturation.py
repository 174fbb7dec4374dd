"""Throughput of the distill stage, compared with vLLM's own benchmark client.

With a real vLLM (the model of `make test-vllm`, or the server at --url), it measures tokens/s of
the whole stage, of `vllm bench serve`, and of a bare aiohttp loop with the same requests, in turn
on one server. With a fake teacher at 50 ms, it measures answers/s as a share of what latency and
concurrency allow, and the share that bare sockets without a client reach.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.asking import CLIENTS, ask
from benchmarks.pipeline import write_prompts
from benchmarks.processes import ROOT, elsewhere
from benchmarks.report import options, result, table
from tests.vllm import servers
from tests.vllm.model import converted

GOAL = 0.97
FAKE_GOAL = 0.95
FAKE_MS = 50.0
OUTPUT_RATE = re.compile(r"Output token throughput \(tok/s\):\s+([\d.]+)")
# `vllm bench serve` as a script: the CPU build has another package name, so its command fails, and
# it does not have pandas, which reads the prompts.
BENCH_SERVE = """
import argparse, json
from vllm.benchmarks.datasets.datasets import CustomDataset
from vllm.benchmarks.serve import add_cli_args, main

def load_data(self):
    with open(self.dataset_path) as lines:
        self.data = [json.loads(line) for line in lines]

CustomDataset.load_data = load_data
parser = argparse.ArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""


def vllm_bench(
    python: Path, tokenizer: str, url: str, model: str, records: int, concurrency: int,
    sampling: dict[str, float],
) -> float:  # fmt: skip
    """Tokens/s, as `vllm bench serve` reports them."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = write_prompts(Path(folder, "prompts.jsonl"), records)
        command = [str(python), "-c", BENCH_SERVE]
        command += ["--backend=openai-chat", f"--base-url={url.removesuffix('/v1')}"]
        command += ["--endpoint=/v1/chat/completions", f"--model={model}"]
        command += [f"--tokenizer={tokenizer}", "--dataset-name=custom", "--skip-chat-template"]
        command += [f"--dataset-path={prompts}", f"--custom-output-len={sampling['max_tokens']}"]
        command += [f"--num-prompts={records}", f"--max-concurrency={concurrency}"]
        command += [f"--temperature={sampling['temperature']}", f"--top-p={sampling['top_p']}"]
        command += ["--disable-tqdm", "--num-warmups=0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = OUTPUT_RATE.search(done.stdout)
    assert found, (
        f"`vllm bench serve` reported no throughput:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    )
    return float(found[1])


@contextmanager
def tests_model(python: Path) -> Iterator[tuple[str, str, str]]:
    """Serves the model of `make test-vllm`; yields its address, name and folder."""
    folder = converted(python)
    os.environ |= {servers.PYTHON: str(python), servers.MODEL: str(folder)}
    with tempfile.TemporaryDirectory() as logs, servers.kept_up(Path(logs)) as served:
        yield served.url, servers.NAME, str(folder)


def real(
    url: str, model: str, tokenizer: str, python: Path, given: argparse.Namespace
) -> dict[str, list[float]]:
    """Tokens/s of each client, measured in turn, so that drift of the machine affects all alike."""
    sampling = {"max_tokens": given.max_tokens, "temperature": 0.7, "top_p": 0.95}
    asked = (url, model, given.records, given.concurrency)

    def rate(client: str) -> float:
        task = dict(zip(("url", "model", "records", "concurrency"), asked, strict=True))
        cost = elsewhere(CLIENTS[client], **task, **sampling)
        return float(cost["tokens"] / cost["seconds"])

    rate("bare")  # warms the prefix cache for all
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in range(given.runs):
        rates["distill stage"].append(rate("ours"))
        rates["vllm bench serve"].append(vllm_bench(python, tokenizer, *asked, sampling))
        rates["bare aiohttp"].append(rate("bare"))
    return rates


def main() -> None:
    """Measures and reports."""
    given = options(
        __doc__,
        python=ROOT / ".venv-vllm/bin/python",
        url="",
        model="",
        tokenizer="",
        records=256,
        max_tokens=128,
        concurrency=64,
        runs=3,
        fake_records=20_000,
    )
    ratios: dict[str, float] = {}
    if given.python.is_file():
        with contextlib.ExitStack() as stack:
            served = (given.url, given.model, given.tokenizer)
            if not given.url:
                served = stack.enter_context(tests_model(given.python))
            rates = real(*served, given.python, given)
        middle = {name: statistics.median(found) for name, found in rates.items()}
        ours, *others = rates.values()
        for name, other in zip(list(rates)[1:], others, strict=True):
            ratios[name] = statistics.median(o / t for o, t in zip(ours, other, strict=True))
        table(["client", "tokens/s"], [[name, f"{rate:.0f}"] for name, rate in middle.items()])
        print()
    else:
        print(f"no vLLM at {given.python} (`make test-vllm` installs it): fake teacher only\n")

    rows, shares = [], {}
    for concurrency in (64, 128, 256):
        allowed = concurrency / (FAKE_MS / 1000)
        records = given.fake_records * concurrency // 256
        found, empty = [], []
        for _ in range(given.runs):
            found.append(ask("ours", records, concurrency, FAKE_MS))
            empty.append(records / ask("empty", records, concurrency, FAKE_MS).asking_s)
        rate, run = statistics.median_low([(records / run.asking_s, run) for run in found])
        shares[concurrency] = rate / allowed
        without = statistics.median_low(empty) / allowed
        cells = (f"{rate:.0f}", f"{allowed:.0f}", f"{rate / allowed:.3f}", f"{without:.3f}")
        cores = (f"{run.cpu_s / run.asking_s:.2f}", f"{run.server_cpu_s / run.asking_s:.2f}")
        rows.append([str(concurrency), *cells, *cores])
    table(
        [
            "in flight",
            "answers/s",
            "allowed",
            "share",
            "without a client",
            "client's core",
            "fake's core",
        ],
        rows,
    )
    for name, ratio in ratios.items():
        unit, peer = "tokens/s of the distill stage", (name, middle["distill stage"] / ratio)
        goal = GOAL * peer[1] if name == "vllm bench serve" else None
        result("teacher_saturation", middle["distill stage"], unit, peer, goal)
    for concurrency, share in shares.items():
        allowed = concurrency / (FAKE_MS / 1000)
        unit, peer = f"answers/s, {concurrency} in flight", ("what the latency allows", allowed)
        result("teacher_saturation", share * allowed, unit, peer, FAKE_GOAL * allowed)


if __name__ == "__main__":
    main()
