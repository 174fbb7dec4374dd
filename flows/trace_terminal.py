"""Prints `synth trace`: the seed, each step with its prompt and reply, and the row."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any, cast

from flows import loop
from flows.conversation import exchange_title, print_request, print_text, print_turns, unpacked
from flows.trace import Traced, run_of, trace
from flows.trace_release import WHERE, released_row
from synth.engine.replay import Exchange
from synth.errors import ExitCode
from synth.record import Turn
from synth.tool_calls import with_calls


def command(arguments: Namespace) -> int:
    """Shows how a row was made: its seed, each step with prompt and reply, and the row."""
    if found := released_row(arguments.id, arguments.run):
        _print_released(*found, as_json=arguments.json)
        return ExitCode.OK
    run, manifests = run_of(arguments.id, arguments.run)
    traced = loop.run(trace(run, manifests, arguments.id))
    if arguments.json:
        print(trace_as_json(traced))
    else:
        print_trace(traced)
    return ExitCode.OK


def print_trace(traced: Traced) -> None:
    """Prints a record's steps from its seed to its shard, in full."""
    record = traced.found.record
    print(f"record {record['id']}: {_fate(traced)}")
    for number, step in enumerate(record["trail"], 1):
        print(f"\n{number}. {_step_title(step)}")
        if number == 1:
            _print_seed(traced)
        elif step["request"]:
            _print_exchange(traced.exchanges.get(step["request"]), traced.changed)
    print("\nthe row")
    print_turns(record["context"])
    if record["reasoning"]:
        print("  [reasoning]")
        print_text(record["reasoning"])
    if text := with_calls(record["text"], record["tool_calls"]):
        print("  [text]")
        print_text(text)
    for score in record["scores"]:
        print(f"  {_score_line(score)}")


def _print_released(row: dict[str, Any], path: Path, *, as_json: bool) -> None:
    trail = row.pop("trail", None) or []
    row = {name: unpacked(value) for name, value in row.items()}
    if as_json:
        found = {"record": row, "fate": f"released, in {path}", "steps": trail, "changed": WHERE}
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    print(f"record {row['id']}: released, in {path}; {WHERE}")
    for number, step in enumerate(trail, 1):
        print(f"\n{number}. {_step_title(step)}")
    print("\nthe row")
    for name, value in row.items():
        if name == "scores":
            for score in value or []:
                print(f"  {_score_line(score)}")
        elif isinstance(value, list) and all(isinstance(one, dict) for one in value):
            print(f"  [{name}]")
            turns = [{"reasoning_content": turn.get("thinking"), **turn} for turn in value]
            print_turns(cast("list[Turn]", turns))
        elif name != "id" and value not in (None, "", "{}"):
            print(f"  [{name}]")
            print_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def trace_as_json(traced: Traced) -> str:
    """Returns the trace as one JSON object: record, fate, seed, and an exchange per step."""
    steps = []
    for step in traced.found.record["trail"]:
        exchange = traced.exchanges.get(step["request"]) if step["request"] else None
        steps.append({**step, "exchange": _exchange_as_dict(exchange, step["model"])})
    found = {
        "record": traced.found.record,
        "fate": _fate(traced),
        "seed": traced.seed,
        "steps": steps,
        "changed": traced.changed or None,
    }
    return json.dumps(found, ensure_ascii=False, indent=1)


def _fate(traced: Traced) -> str:
    record, where = traced.found.record, traced.found.path
    if "reason" not in record:
        return f"kept, in {where}"
    score = "" if record["score"] is None else f" ({record['score']:.4g})"
    return f"rejected by {record['by']}: {record['reason']}{score}, in {where}"


def _step_title(step: dict[str, Any]) -> str:
    parts = [f"{step['stage']}: {step['operation']}"]
    if step["stage"] == "read":
        return f"{parts[0]} of {step['parent']}"
    if step["round"]:
        parts.append(f"round {step['round']}")
    if step["sample"]:
        parts.append(f"sample {step['sample']}")
    parts.append(f"from {step['parent']}")
    if step["request"]:
        revision = f" ({step['revision']})" if step["revision"] else ""
        parts.append(f"{step['model']}{revision}")
        parts.append(f"{step['tokens_in']:,} tokens in, {step['tokens_out']:,} out")
        parts.append(f"finish reason {step['finish_reason'] or 'none'}")
    return ", ".join(parts)


def _print_seed(traced: Traced) -> None:
    if traced.seed is None:
        print("  the seed is no longer in the run folder")
        return
    print_turns(traced.seed["context"])
    if traced.seed["text"]:
        print_text(traced.seed["text"])


def _print_exchange(exchange: Exchange | None, changed: str) -> None:
    if exchange is None:
        why = f" ({changed})" if changed else ""
        print(f"  the request cannot be rendered: code, prompts or settings have changed{why}")
        return
    print(f"  request, with {exchange_title(exchange.request)}:")
    print_request(exchange.request)
    print("  reply:" if exchange.reply.fault is None else f"  reply ({exchange.reply.fault}):")
    if exchange.reply.reasoning:
        print("  [reasoning]")
        print_text(exchange.reply.reasoning)
        print("  [text]")
    said = with_calls(exchange.reply.text, exchange.reply.calls)
    print_text(said or exchange.reply.raw)


def _exchange_as_dict(exchange: Exchange | None, model: str) -> dict[str, Any] | None:
    if exchange is None:
        return None
    return {
        "request": json.loads(exchange.request.body(model)),
        "reply": {
            "text": exchange.reply.text,
            **({"tool_calls": list(exchange.reply.calls)} if exchange.reply.calls else {}),
            "reasoning": exchange.reply.reasoning,
            "finish_reason": exchange.reply.finish_reason,
            "fault": exchange.reply.fault,
        },
    }


def _score_line(score: dict[str, Any]) -> str:
    value = "" if score["value"] is None else f" {score['value']:.4g}"
    note = f" ({score['note']})" if score["note"] else ""
    return f"{score['name']}: {score['verdict']}{value}{note}"
