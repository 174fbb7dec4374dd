"""Serves one GGUF model with llama.cpp on the loopback address, until a signal ends it.

    python -I embedded_server.py --model FILE.gguf --name NAME --slots 4 --context 4096 \
        --threads 1 --host 127.0.0.1 --port 21000

Runs in its own process, is started by its path, and imports nothing from this project.
"""

from __future__ import annotations

import argparse
import os
import signal

import xllamacpp


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser()
    for name in ("model", "name", "host"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("slots", "context", "threads", "port"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    server = xllamacpp.Server(parameters(given))
    print(f"serving {given.name} at {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # a normal exit would first finish replies that no client waits for


def parameters(given: argparse.Namespace) -> xllamacpp.CommonParams:
    """llama.cpp's settings."""
    params = xllamacpp.CommonParams()
    params.model.path = given.model
    params.model_alias = {given.name}
    params.hostnames, params.port = [given.host], given.port
    params.n_parallel, params.n_ctx = given.slots, given.slots * given.context
    params.kv_unified = False  # each slot has the whole context
    params.fit_params = False  # otherwise it would shrink the context to fit the free memory
    params.warmup = False
    params.endpoint_metrics = True
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = given.threads
        threads.poll = (
            0  # idle threads sleep, because spinning threads would slow down other programs
        )
    return params


if __name__ == "__main__":
    main()
