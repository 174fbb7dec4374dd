"""The counters of the rehearsal teacher, under the names by which vLLM tells them to Prometheus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from synth.teacher.rehearsal.choices import Choice
from synth.teacher.rehearsal.text import count_tokens
from synth.teacher.rehearsal.wire import MAX_MODEL_LEN, MODEL, Asked

BLOCK_TOKENS = 16
"""vLLM caches prefixes in whole blocks of this size."""
KNOWN_PREFIXES = 4096
CACHE_TOKENS = 64 * MAX_MODEL_LEN
"""The imagined cache that `kv_cache_usage_perc` is a share of."""
LABELS = f'engine="0",model_name="{MODEL}"'


@dataclass(slots=True)
class Metrics:
    """What has been asked and answered so far."""

    running: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    finished: Counter[str] = field(default_factory=lambda: Counter(stop=0, length=0))
    prefixes: dict[str, None] = field(default_factory=dict)

    def answered(self, asked: Asked, choices: list[Choice]) -> None:
        """Counts one completion; its system turn hits the prefix cache when it was seen before."""
        self.prompt_tokens += asked.prompt_tokens
        self.prefix_queries += asked.prompt_tokens
        for choice in choices:
            self.generation_tokens += choice.tokens
            self.finished[choice.finish_reason] += 1
        role, prefix = asked.turns[0]
        if role != "system" and len(asked.turns) == 1:
            return
        if prefix in self.prefixes:
            self.prefix_hits += count_tokens(prefix) // BLOCK_TOKENS * BLOCK_TOKENS
        elif len(self.prefixes) < KNOWN_PREFIXES:
            self.prefixes[prefix] = None

    def exposition(self) -> str:
        """The counters in Prometheus' text format."""
        lines: list[str] = []

        def tell(name: str, kind: str, text: str, value: float, extra: str = "") -> None:
            if not lines or f"# TYPE vllm:{name} " not in "\n".join(lines):
                lines.append(f"# HELP vllm:{name} {text}")
                lines.append(f"# TYPE vllm:{name} {kind}")
            lines.append(f"vllm:{name}{{{LABELS}{extra}}} {float(value)}")

        used = min(1.0, self.running * 512 / CACHE_TOKENS)
        tell("num_requests_running", "gauge", "Requests being answered.", self.running)
        tell("num_requests_waiting", "gauge", "Requests waiting: none ever does.", 0)
        tell("kv_cache_usage_perc", "gauge", "Imagined cache usage, 1 is full.", used)
        tell("prefix_cache_queries_total", "counter", "Prompt tokens.", self.prefix_queries)
        tell("prefix_cache_hits_total", "counter", "Tokens of known prefixes.", self.prefix_hits)
        tell("prompt_tokens_total", "counter", "Prompt tokens.", self.prompt_tokens)
        tell("generation_tokens_total", "counter", "Tokens answered.", self.generation_tokens)
        for reason, count in self.finished.items():
            extra = f',finished_reason="{reason}"'
            tell("request_success_total", "counter", "Choices answered.", count, extra)
        return "\n".join(lines) + "\n"
