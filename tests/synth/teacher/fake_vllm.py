"""Stands in for `vllm serve` in tests: its options, its log lines, its processes, no model.

    python fake_vllm.py serve MODEL --host 127.0.0.1 --port 21000 --served-model-name NAME …

Like vLLM's it has an engine in a process of its own, here the worst kind: in a session of its own,
deaf to SIGTERM unless FAKE_POLITE is set, and not ending when its server does. What goes wrong is
said in other FAKE_… variables.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

JSON = "application/json"
parser = argparse.ArgumentParser()
parser.add_argument("serve", choices=["serve"])
parser.add_argument("model")
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--served-model-name", required=True)
parser.add_argument("--tensor-parallel-size", type=int, required=True)
parser.add_argument("--max-model-len", type=int, default=40_960)
parser.add_argument("--disable-uvicorn-access-log", action="store_true")
parser.add_argument("--enable-chunked-prefill", action=argparse.BooleanOptionalAction)
parser.add_argument("--enable-prefix-caching", action="store_true")
parser.add_argument("--gpu-memory-utilization", type=float)


def told(name: str, default: str = "") -> str:
    return os.environ.get(f"FAKE_{name}", default)


def log(text: str) -> None:
    stamp = time.strftime("%m-%d %H:%M:%S")
    print(f"(EngineCore pid={os.getpid()}) INFO {stamp} [core.py:7] {text}", flush=True)


def start_engine() -> None:
    """The engine holds on; the server does not wait for it."""
    if os.fork() == 0:
        os.setsid()
        if not told("POLITE"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)


class Handler(BaseHTTPRequestHandler):
    """vLLM's endpoints, as far as they are asked here."""

    protocol_version = "HTTP/1.1"
    answered = 0

    def do_GET(self) -> None:
        model = {"id": args.served_model_name, "max_model_len": args.max_model_len}
        match self.path:
            case "/health":
                self.send(200, "")
            case "/v1/models":
                self.send(200, {"data": [{**model, "root": args.model, "owned_by": "vllm"}]})
            case "/version":
                self.send(200, {"version": "0.0.fake"})
            case "/metrics":
                self.send(200, METRICS)
            case _:
                self.send(404, {"error": "no such path"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = os.environ.get("VLLM_API_KEY")
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self.send(401, {"error": "Unauthorized"})
            return
        if self.path != "/v1/chat/completions":
            self.send(404, {"detail": "Not Found"})
            return
        if told("REFUSE"):
            self.send(400, {"message": told("REFUSE")})
            return
        Handler.answered += 1
        if told("EXIT_AFTER") and Handler.answered > int(told("EXIT_AFTER")):
            os._exit(9)
        shown = {
            name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
        }
        shown["chunks"] = args.enable_chunked_prefill
        said = json.dumps({"pid": os.getpid(), **shown, "asked": body["messages"][-1]["content"]})
        message = {"role": "assistant", "content": said}
        usage = {"prompt_tokens": 3, "completion_tokens": 1}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.send(200, {"choices": [choice], "usage": usage})

    def send(self, status: int, body: Any) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else JSON)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """No access log."""


METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 200.0
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 150.0
"""

if __name__ == "__main__":
    args = parser.parse_args()
    start_engine()
    log("Starting to load model " + args.model)
    print("Loading safetensors checkpoint shards:  50% Completed | 1/2\r", end="", flush=True)
    if told("SAY"):
        log(told("SAY"))
    time.sleep(float(told("LOAD_S", "0")))
    if told("CRASH") and Path(told("CRASH_IF", "/")).exists():
        print(f"(EngineCore pid=1) ERROR 01-01 00:00:00 [core.py:1] {told('CRASH')}")
        print("\n".join(f"  File {n}, in a long traceback" for n in range(40)))
        print("RuntimeError: Engine core initialization failed. See root cause above.")
        sys.exit(1)
    if told("HANG"):
        time.sleep(1000)
    ThreadingHTTPServer((args.host, args.port), Handler).serve_forever()
