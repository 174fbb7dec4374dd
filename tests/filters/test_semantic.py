"""`semantic`: embeddings from a server or a local model, compared within clusters."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from filters.dedup import semantic
from filters.dedup.stage import Dedup
from synth.batch import Batch
from synth.engine.stage import Outcome, Place
from synth.errors import InputError, TeacherFault
from synth.kind import Kind
from synth.record import new_record, records_table

MEANS = {"dog": (1, 0, 0), "hound": (0.99, 0.1, 0), "puppy": (0.9, 0.4, 0), "tax": (0, 0, 1)}


@contextmanager
def embedding_server(troubles: list[int] | None = None) -> Iterator[tuple[str, list[Any]]]:
    """A server of /v1/embeddings on loopback: a text means what its first known word means."""
    asked: list[Any] = []
    left = list(troubles or [])

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def _send(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": "means"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            if not self.path.startswith("/v1/"):
                self._send(404, {"error": "no such path"})
            elif left:
                self._send(left.pop(0), {"error": "not now"})
            elif any("forbidden" in text for text in body["input"]):
                self._send(400, {"error": "forbidden"})
            else:
                vectors = [
                    next((MEANS[word] for word in text.split() if word in MEANS), (0, 1, 0))
                    for text in body["input"]
                ]
                data = [{"index": i, "embedding": list(v)} for i, v in enumerate(vectors)]
                self._send(200, {"data": data[::-1]})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def dedup(texts: list[str], folder: Path, settings: dict[str, Any]) -> Outcome:
    table = records_table([new_record(text=text, source=str(i)) for i, text in enumerate(texts)])
    stage, place = Dedup.model_validate({"semantic": settings}), Place(0, Kind.DOCUMENTS)
    stage.sign(table, place, folder)
    stage.decide([folder])
    return stage.split(table, place, folder)


def test_what_says_the_same_leaves_and_what_is_only_near_stays_with_its_score(tmp_path):
    with embedding_server() as (url, asked):
        outcome = dedup(["a dog", "a hound", "a puppy", "a tax"], tmp_path, {"url": url})
    assert outcome.kept["text"].to_pylist() == ["a dog", "a puppy", "a tax"]
    [left] = outcome.rejected.to_pylist()
    assert (left["reason"], round(left["score"], 3)) == ("semantic_duplicate", 0.995)
    assert round(outcome.kept.to_pylist()[1]["scores"][0]["value"], 3) == 0.914
    assert [body["model"] for body in asked] == ["means"]


def test_a_text_that_the_server_refuses_and_an_empty_one_stay_without_a_score(tmp_path):
    texts = ["a dog", "", "forbidden dog", "a hound", "forbidden dog"]
    with embedding_server() as (url, _):
        outcome = dedup(texts, tmp_path, {"url": url, "model": "means"})
    assert outcome.kept["text"].to_pylist() == ["a dog", "", "forbidden dog", "forbidden dog"]
    values = [row["scores"][0]["value"] for row in outcome.kept.to_pylist()]
    assert values == [0.0, None, None, None]


def test_a_server_that_fails_is_asked_again_and_what_it_said_is_not_asked_twice(tmp_path):
    with embedding_server([503, 429]) as (url, asked):
        first = dedup(["a dog", "a hound"], tmp_path, {"url": url})
        again = dedup(["a dog", "a hound"], tmp_path, {"url": url})
        assert len(asked) == 3
        with pytest.raises(TeacherFault, match="404"):
            dedup(["a cat"], tmp_path, {"url": url.removesuffix("v1") + "v2", "model": "x"})
    assert first.kept.equals(again.kept)


def test_the_key_of_an_unset_variable_is_missed_before_anything_is_asked(tmp_path):
    settings = {"url": "http://127.0.0.1:9/v1", "api_key_env": "NO_SUCH_KEY"}
    with pytest.raises(TeacherFault, match="NO_SUCH_KEY is not set"):
        dedup(["a dog"], tmp_path, settings)


def test_a_local_model_needs_no_server(tmp_path):
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", *MEANS]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.array([(0, 1, 0), *MEANS.values()], np.float32)
    StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "model")
    settings = {"local": str(tmp_path / "model")}
    outcome = dedup(["dog", "hound", "tax"], tmp_path, settings)
    assert outcome.kept["text"].to_pylist() == ["dog", "tax"]
    with pytest.raises(InputError, match="not a model2vec model"):
        dedup(["dog", "cat"], tmp_path, {"local": str(tmp_path / "none")})


def test_in_many_clusters_the_pairs_of_all_are_found(tmp_path, monkeypatch):
    """Forty clusters over 2,000 vectors, of which every tenth repeats an earlier one."""
    monkeypatch.setattr(semantic, "CLUSTER_ROWS", 50)
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((2_000, 24))
    for row in range(10, 2_000, 10):
        vectors[row] = vectors[rng.integers(row // 10 * 10 - 9, row)] + 0.02
    monkeypatch.setattr("filters.dedup.semantic.Semantic._embed", lambda _self, texts: vectors)
    outcome = dedup([f"text {i}" for i in range(2_000)], tmp_path, {"local": "none"})
    left = {int(row["text"].split()[1]) for row in outcome.rejected.to_pylist()}
    assert left == set(range(10, 2_000, 10))


@pytest.mark.parametrize("settings", [{}, {"url": "http://x/v1", "local": "y"}])
def test_one_model_is_named(settings):
    with pytest.raises(ValidationError, match="exactly one of `url` and `local`"):
        Dedup.model_validate({"semantic": settings})


def test_signing_inside_a_thread_of_a_running_loop_works(tmp_path):
    """The engine signs in a thread beside its event loop."""

    async def work() -> Outcome:
        with embedding_server() as (url, _):
            return await asyncio.to_thread(dedup, ["dog", "hound"], tmp_path, {"url": url})

    assert len(asyncio.run(work()).rejected) == 1


def test_batches_are_answered_in_order(tmp_path):
    texts = [f"{word} {i}" for i in range(50) for word in MEANS]
    with embedding_server() as (url, asked):
        stage = Dedup.model_validate({"semantic": {"url": url}})
        assert stage.semantic is not None
        stage.semantic.sign(Batch.of_texts(texts), tmp_path)
    assert len(asked) == 4
    vectors = np.load(tmp_path / "semantic-flat.npy").reshape(200, 3)
    assert np.array_equal(vectors[:4], vectors[196:])
