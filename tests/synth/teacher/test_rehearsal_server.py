"""The rehearsal teacher over a real socket: vLLM's shapes, the same bytes for the same request."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from synth.teacher.rehearsal.config import Defects, Rehearsal
from synth.teacher.rehearsal.server import application

Client = TestClient[Any, Any]
QUIET = Rehearsal(defects=Defects.none())
BODY: dict[str, Any] = {
    "model": "rehearsal",
    "messages": [{"role": "user", "content": "Why do leaves change colour in autumn?"}],
    "seed": 1,
    "temperature": 0.7,
    "max_tokens": 1000,
}


def serve(config: Rehearsal, work: Callable[[Client], Awaitable[None]]) -> None:
    """Runs the work against a server of its own."""

    async def run() -> None:
        async with TestClient(TestServer(application(config))) as client:
            await work(client)

    asyncio.run(run())


async def ask(client: Client, **changes: Any) -> tuple[int, dict[str, Any]]:
    async with client.post("/v1/chat/completions", json=BODY | changes) as response:
        return response.status, orjson.loads(await response.read())


def test_same_request_twice_gives_the_same_bytes() -> None:
    async def work(client: Client) -> None:
        bodies = []
        for keys in (list(BODY), list(reversed(BODY))):
            data = orjson.dumps({key: BODY[key] for key in keys})
            async with client.post("/v1/chat/completions", data=data) as response:
                bodies.append(await response.read())
        assert bodies[0] == bodies[1]

    serve(Rehearsal(seed=5, defects=Defects(overloaded=0)), work)


def test_another_seed_gives_another_text() -> None:
    texts: set[str] = set()

    async def work(client: Client) -> None:
        for seed in (1, 2, 3):
            _, body = await ask(client, seed=seed)
            texts.add(body["choices"][0]["message"]["content"])

    serve(QUIET, work)
    serve(QUIET.model_copy(update={"seed": 9}), work)
    assert len(texts) == 6


def test_choices_differ_and_greedy_ones_do_not() -> None:
    async def work(client: Client) -> None:
        _, warm = await ask(client, n=4)
        assert [choice["index"] for choice in warm["choices"]] == [0, 1, 2, 3]
        assert len({choice["message"]["content"] for choice in warm["choices"]}) == 4
        _, cold = await ask(client, temperature=0)
        _, other = await ask(client, temperature=0, seed=2)
        greedy = {choice["message"]["content"] for choice in cold["choices"] + other["choices"]}
        assert len(greedy) == 1

    serve(QUIET, work)


def test_completion_has_the_shape_of_vllm() -> None:
    async def work(client: Client) -> None:
        status, body = await ask(client)
        assert status == 200
        assert body["object"] == "chat.completion"
        assert body["model"] == "rehearsal"
        (choice,) = body["choices"]
        assert choice["finish_reason"] == "stop"
        assert choice["message"]["role"] == "assistant"
        assert choice["message"]["reasoning"]
        assert choice["rehearsal"] == {"defect": None}
        usage = body["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert usage["completion_tokens"] > 40

    serve(QUIET, work)


def test_max_tokens_cuts_and_says_so() -> None:
    async def work(client: Client) -> None:
        for limit in (1, 20, 40, 80):
            _, body = await ask(client, max_tokens=limit)
            (choice,) = body["choices"]
            assert choice["finish_reason"] == "length"
            assert choice["rehearsal"]["defect"] == "truncation"
            assert 0 < body["usage"]["completion_tokens"] <= limit

    serve(QUIET, work)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"model": "Qwen/Qwen3-8B"}, 404, "The model `Qwen/Qwen3-8B` does not exist."),
        ({"model": None}, 404, "does not exist"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "user"}]}, 400, "content"),
        ({"max_tokens": 9000}, 400, "max_tokens=9000 cannot be greater than max_model_len=8192."),
        ({"n": 2, "temperature": 0}, 400, "n must be 1 when using greedy sampling, got 2."),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"n": 0}, 400, "n must"),
        ({"temperature": -1}, 400, "temperature"),
        ({"stream": True}, 400, "stream"),
        ({"response_format": {"type": "json_schema"}}, 400, "response_format"),
    ],
)
def test_bad_request_is_refused_in_the_shape_of_vllm(
    changes: dict[str, Any], status: int, said: str
) -> None:
    async def work(client: Client) -> None:
        got, body = await ask(client, **changes)
        assert got == status
        assert body["error"]["code"] == status
        assert said in body["error"]["message"]
        assert body["error"]["type"] in ("BadRequestError", "NotFoundError")

    serve(QUIET, work)


def test_long_prompt_and_bad_json_are_refused() -> None:
    async def work(client: Client) -> None:
        long = [{"role": "user", "content": "word " * 7000}]
        status, body = await ask(client, messages=long, max_tokens=1)
        assert status == 400
        assert "your prompt contains at least 91" in body["error"]["message"]
        for data in (b"{", b"[]", b"\xff"):
            async with client.post("/v1/chat/completions", data=data) as response:
                assert response.status == 400

    serve(QUIET, work)


def test_json_schema_reply_is_json() -> None:
    schema = {"type": "object", "properties": {"score": {"type": "integer", "maximum": 5}}}
    asked = {"type": "json_schema", "json_schema": {"name": "judge", "schema": schema}}

    async def work(client: Client) -> None:
        _, body = await ask(client, response_format=asked)
        assert orjson.loads(body["choices"][0]["message"]["content"])["score"] <= 5
        _, body = await ask(client, response_format={"type": "json_object"})
        assert isinstance(orjson.loads(body["choices"][0]["message"]["content"]), dict)

    serve(QUIET, work)


def test_a_json_schema_reply_is_malformed_at_its_rate_and_labelled() -> None:
    schema = {"type": "object", "properties": {"why": {"type": "string"}}, "required": ["why"]}
    asked = {"type": "json_schema", "json_schema": {"name": "judge", "schema": schema}}
    told: Counter[tuple[str | None, bool]] = Counter()

    async def work(client: Client) -> None:
        for seed in range(10):
            _, body = await ask(client, response_format=asked, n=20, seed=seed)
            for choice in body["choices"]:
                try:
                    orjson.loads(choice["message"]["content"])
                except orjson.JSONDecodeError:
                    told[choice["rehearsal"]["defect"], False] += 1
                else:
                    told[choice["rehearsal"]["defect"], True] += 1

    rates = Defects.none().model_dump() | {"malformed": 0.2}
    serve(Rehearsal(defects=Defects.model_validate(rates)), work)
    assert told.keys() == {(None, True), ("malformed", False)}
    assert 20 < told["malformed", False] < 60


def test_logprobs_come_one_a_token_and_change_no_reply() -> None:
    async def work(client: Client) -> None:
        _, plain = await ask(client)
        _, told = await ask(client, logprobs=True, priority=3)
        (choice,) = told["choices"]
        content = choice["logprobs"]["content"]
        assert len(content) == told["usage"]["completion_tokens"]
        assert all(token["logprob"] <= 0 for token in content)
        assert choice["message"] == plain["choices"][0]["message"]
        assert plain["choices"][0]["logprobs"] is None

    serve(QUIET, work)


def test_a_reply_has_the_room_that_its_prompt_leaves() -> None:
    async def work(client: Client) -> None:
        long = [{"role": "user", "content": "word " * 6290}]
        _, body = await ask(client, messages=long, max_tokens=1000)
        assert body["choices"][0]["finish_reason"] == "length"
        assert body["usage"]["total_tokens"] <= 8192

    serve(QUIET, work)


def test_overloaded_request_passes_the_second_time() -> None:
    async def work(client: Client) -> None:
        refused: Counter[int] = Counter()
        for seed in range(40):
            async with client.post("/v1/chat/completions", json=BODY | {"seed": seed}) as response:
                refused[response.status] += 1
                assert response.headers["Retry-After"] == "0"
            assert (await ask(client, seed=seed))[0] == 200
            assert (await ask(client, seed=seed))[0] == 200
        assert set(refused) == {429, 503}

    rates = Defects.none().model_dump() | {"overloaded": 1}
    serve(Rehearsal(defects=Defects.model_validate(rates)), work)


def test_overload_counts_follow_the_rate() -> None:
    async def work(client: Client) -> None:
        statuses = [(await ask(client, seed=seed, max_tokens=8))[0] for seed in range(400)]
        assert 160 < sum(status != 200 for status in statuses) < 240

    rates = Defects.none().model_dump() | {"overloaded": 0.5}
    serve(Rehearsal(defects=Defects.model_validate(rates)), work)


def test_slow_reply_takes_20_times_the_latency_and_is_labelled_apart() -> None:
    async def work(client: Client) -> None:
        begin = time.perf_counter()
        _, body = await ask(client)
        assert time.perf_counter() - begin >= 0.1
        assert body["rehearsal"] == {"defect": "slow"}
        assert body["choices"][0]["rehearsal"] == {"defect": None}

    rates = Defects.none().model_dump() | {"slow": 1}
    serve(Rehearsal(latency_ms=5, defects=Defects.model_validate(rates)), work)


def test_models_version_and_health_answer() -> None:
    async def work(client: Client) -> None:
        async with client.get("/v1/models") as response:
            (card,) = (await response.json())["data"]
        assert card["id"] == "rehearsal"
        assert card["max_model_len"] == 8192
        assert card["owned_by"] == "synth"
        assert card["root"] == QUIET.revision()
        async with client.get("/version") as response:
            assert await response.json() == {"version": "rehearsal-4"}
        async with client.get("/health") as response:
            assert response.status == 200

    serve(QUIET, work)


def test_metrics_have_the_names_of_vllm_and_count() -> None:
    async def work(client: Client) -> None:
        turns = [{"role": "system", "content": "Be brief. " * 40}, *BODY["messages"]]
        for seed in (1, 2):
            await ask(client, messages=turns, seed=seed)
        await ask(client, max_tokens=5)
        async with client.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        values = {
            line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in lines
            if line[0] != "#"
        }
        told = {name.split("{")[0] for name in values}
        assert told == {
            "vllm:num_requests_running",
            "vllm:num_requests_waiting",
            "vllm:kv_cache_usage_perc",
            "vllm:prefix_cache_queries_total",
            "vllm:prefix_cache_hits_total",
            "vllm:generation_tokens_total",
            "vllm:prompt_tokens_total",
            "vllm:request_success_total",
        }
        labels = 'engine="0",model_name="rehearsal"'
        assert values[f'vllm:request_success_total{{{labels},finished_reason="stop"}}'] == 2
        assert values[f'vllm:request_success_total{{{labels},finished_reason="length"}}'] == 1
        hits = values[f"vllm:prefix_cache_hits_total{{{labels}}}"]
        assert 0 < hits < values[f"vllm:prefix_cache_queries_total{{{labels}}}"]

    serve(QUIET, work)
