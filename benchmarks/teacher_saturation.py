"""How full the distill stage keeps its teacher, over what vLLM's own benchmark client reaches.

With a real vLLM (the model of `make test-vllm`, or the server at --url): tokens/s of the
whole stage, of `vllm bench serve`, and of a bare aiohttp loop that posts the same bytes, in turn,
on one server. With a fake teacher at 50 ms: answers/s over what latency and concurrency allow,
and, in turn with it, what is left of that by sockets without a client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from benchmarks.generation_loop import PROMPT, measure
from benchmarks.report import result, table
from synth.engine.plan import Plan
from synth.engine.progress import Progress
from synth.engine.run import open_runner, run_stages
from synth.engine.stage import Outcome, Source
from synth.generate.distill import Distill
from synth.kind import Kind
from synth.record import Turn
from synth.store.manifest import Manifest
from synth.teacher.config import TeacherConfig
from synth.teacher.protocol import Request, Sampling

GOAL = 0.97
FAKE_GOAL = 0.95
FAKE_MS = 50.0
ROOT = Path(__file__).resolve().parents[1]
OUTPUT_RATE = re.compile(r"Output token throughput \(tok/s\):\s+([\d.]+)")
# `vllm bench serve` as a script: the build for the CPU has another name, so that its command fails,
# and no pandas to read the prompts with.
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


class Numbered(Source):
    """Prompts by number."""

    name = "read"
    records: int

    def makes(self, kind: Kind) -> Kind:  # noqa: ARG002  prompts, whatever came
        """Prompts."""
        return Kind.PROMPTS

    def shards(self, rows: int) -> Iterator[Outcome]:
        """One record per number."""
        from synth.record import REJECT, new_record, records_table

        made = (new_record(prompt=PROMPT.format(n=n), source=str(n)) for n in range(self.records))
        while part := list(islice(made, rows)):
            yield Outcome(records_table(part), REJECT.empty_table())


class Clock(Progress):
    """How long the last stage took."""

    def stage_starts(self, index: int, name: str, rows: int | None) -> None:  # noqa: ARG002  only replies count
        """Begins to count."""
        self.begin = time.monotonic()

    def stage_ends(self, manifest: Manifest, skipped: bool) -> None:  # noqa: ARG002  only replies count
        """Ends it."""
        self.seconds = time.monotonic() - self.begin


def stage(url: str, model: str, records: int, concurrency: int, sampling: Sampling) -> float:
    """Tokens/s of the distill stage: journal, lineage and shards included."""
    teacher = TeacherConfig(url=url, model=model, concurrency=concurrency)
    stages = (Numbered(records=records), Distill(sampling=sampling))
    clock = Clock()

    async def work() -> int:
        plan = Plan("saturation", 7, 1000, teacher, stages)
        with tempfile.TemporaryDirectory() as folder:
            async with open_runner(plan, Path(folder), clock) as runner:
                *_, manifest = await run_stages(runner)
        return sum(shard.tokens_out for shard in manifest.shards)

    return _run(work()) / clock.seconds


def bare(url: str, model: str, records: int, concurrency: int, sampling: Sampling) -> float:
    """Tokens/s of the least one can do with aiohttp, asking the same."""
    import aiohttp
    import orjson

    async def work() -> int:
        slots = asyncio.Semaphore(concurrency)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(n: int) -> int:
                turns = [Turn(role="user", content=PROMPT.format(n=n))]
                body = Request(turns, sampling, seed=n).body(model)
                head = {"Content-Type": "application/json"}
                async with (
                    slots,
                    session.post(f"{url}/chat/completions", data=body, headers=head) as response,
                ):
                    return int(orjson.loads(await response.read())["usage"]["completion_tokens"])

            return sum(await asyncio.gather(*(one(n) for n in range(records))))

    begin = time.monotonic()
    return _run(work()) / (time.monotonic() - begin)


def vllm_bench(
    python: Path, tokenizer: str, url: str, model: str, records: int, concurrency: int,
    sampling: Sampling,
) -> float:  # fmt: skip
    """Tokens/s by vLLM's own account."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder, "prompts.jsonl")
        rows = (json.dumps({"prompt": PROMPT.format(n=n)}) + "\n" for n in range(records))
        prompts.write_text("".join(rows), encoding="utf-8")
        command = [str(python), "-c", BENCH_SERVE]
        command += ["--backend=openai-chat", f"--base-url={url.removesuffix('/v1')}"]
        command += ["--endpoint=/v1/chat/completions", f"--model={model}"]
        command += [f"--tokenizer={tokenizer}", "--dataset-name=custom", "--skip-chat-template"]
        command += [f"--dataset-path={prompts}", f"--custom-output-len={sampling.max_tokens}"]
        command += [f"--num-prompts={records}", f"--max-concurrency={concurrency}"]
        command += [f"--temperature={sampling.temperature}", f"--top-p={sampling.top_p}"]
        command += ["--disable-tqdm", "--num-warmups=0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = OUTPUT_RATE.search(done.stdout)
    assert found, f"vLLM's benchmark said nothing:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return float(found[1])


@contextmanager
def tests_model(python: Path) -> Iterator[tuple[str, str, str]]:
    """Address, name and folder of the model of `make test-vllm`, served."""
    from tests.vllm import servers
    from tests.vllm.model import converted

    folder = converted(python)
    os.environ |= {servers.PYTHON: str(python), servers.MODEL: str(folder)}
    with tempfile.TemporaryDirectory() as logs, servers.kept_up(Path(logs)) as served:
        yield served.url, servers.NAME, str(folder)


def real(
    url: str, model: str, tokenizer: str, python: Path, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Tokens/s of each client, in turn, so that the machine's drift meets all alike."""
    asked = (url, model, arguments.records, arguments.concurrency)
    sampling = Sampling(max_tokens=arguments.max_tokens)
    bare(*asked, sampling)  # the prefix cache is warm for all
    rates: dict[str, list[float]] = {
        "distill stage": [],
        "vllm bench serve": [],
        "bare aiohttp": [],
    }
    for _ in range(arguments.runs):
        rates["distill stage"].append(stage(*asked, sampling))
        rates["vllm bench serve"].append(vllm_bench(python, tokenizer, *asked, sampling))
        rates["bare aiohttp"].append(bare(*asked, sampling))
    return rates


def _run(work: object) -> int:
    import uvloop

    return int(uvloop.run(work))  # type: ignore[arg-type]  uvloop wants a coroutine


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--python", type=Path, default=ROOT / ".venv-vllm/bin/python", help="vLLM's"
    )
    parser.add_argument("--url", help="a served model, in place of the tests' own")
    parser.add_argument("--model", help="its name")
    parser.add_argument("--tokenizer", help="its folder, or its name on the Hub")
    parser.add_argument("--records", type=int, default=256)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--fake-records", type=int, default=20_000)
    arguments = parser.parse_args()
    ratios: dict[str, float] = {}
    if arguments.python.is_file():
        if arguments.url:
            rates = real(
                arguments.url, arguments.model, arguments.tokenizer, arguments.python, arguments
            )
        else:
            with tests_model(arguments.python) as (url, model, tokenizer):
                rates = real(url, model, tokenizer, arguments.python, arguments)
        middle = {name: statistics.median(found) for name, found in rates.items()}
        ours, *others = rates.values()
        for name, other in zip(list(rates)[1:], others, strict=True):
            ratios[name] = statistics.median(o / t for o, t in zip(ours, other, strict=True))
        table(["client", "tokens/s"], [[name, f"{rate:.0f}"] for name, rate in middle.items()])
        print()
    else:
        print(f"no vLLM at {arguments.python} (`make test-vllm` installs it): the fake alone\n")

    rows, shares = [], {}
    for concurrency in (64, 128, 256):
        allowed = concurrency / (FAKE_MS / 1000)
        records = arguments.fake_records * concurrency // 256
        found, empty = [], []
        for _ in range(arguments.runs):
            found.append(measure("ours", records, concurrency, FAKE_MS))
            empty.append(records / measure("empty", records, concurrency, FAKE_MS).asking_s)
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
    result(
        "teacher_saturation",
        ratios.get("vllm bench serve", shares[256]),
        "tokens/s over vLLM's own client" if ratios else "of what the fake's latency allows",
        "higher",
        GOAL if ratios else FAKE_GOAL,
        dict.fromkeys(ratios, 1.0),
        **{f"over_{name.replace(' ', '_')}": ratio for name, ratio in ratios.items()},
        **{f"fake_share_at_{concurrency}": share for concurrency, share in shares.items()},
    )


if __name__ == "__main__":
    main()
