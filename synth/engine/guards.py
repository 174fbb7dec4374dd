"""Guards: they watch a stage that asks the teacher, and warn or stop when its texts go wrong.

guards:
  rejected: stop                            # at the default share
  openings: {share: 0.5, action: stop}
  duplicates: null                          # off

A guard looks at the last attempts of a stage, also at those that the journal answers. It decides
only whether the run goes on, never what is in a shard.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from synth.errors import GuardError
from synth.model import Model
from synth.teacher.protocol import Reply

FEWEST = 50  # with fewer attempts, a large share may be chance
WINDOW = 200  # attempts: bounds the memory, and shows a teacher that goes wrong later
MOST_NAMED = 4
EXAMPLES = 3
EXAMPLE_CHARS = 100
OPENING_WORDS = 5
FEWEST_WORDS = 8  # shorter answers, such as "yes" or "42", may be equal by right
HEAD_CHARS = 100  # enough for so many words
AFTER_ERRORS = "answered only after an error"


class Limit(Model):
    """A guard's limit: the share of attempts at which it acts, and what it does."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Acts when at least this share of the last attempts is bad."""
    action: Literal["warn", "stop"] = "warn"
    """`warn` prints one warning per guard and stage. `stop` ends the run, which can be resumed."""


class Guards(Model):
    """The [guards](guards.md) of every stage that asks the teacher. Each is an action (`warn` or
    `stop`), or settings such as `{share: 0.5, action: stop}`; `null` switches it off. A guard acts
    when at least its share of the last 200 attempts is bad, from 50 attempts on.
    """

    rejected: Limit | None = Limit(share=0.9)
    """The share of new rows that are rejected, for reasons known as soon as the reply comes."""
    duplicates: Limit | None = Limit(share=0.3)
    """The share of new texts that are equal to another one. Texts under 8 words do not count."""
    openings: Limit | None = Limit(share=0.3)
    """The share of new texts that begin with the same five words. A beginning that a text shares
    with its prompt does not count."""
    faults: Limit | None = Limit(share=0.5)
    """The share of replies that are unusable, or that came only after an error of the teacher."""

    @field_validator("*", mode="before")
    @classmethod
    def _short(cls, value: Any, info: ValidationInfo) -> Any:
        """Completes an action, or settings without a share, with the guard's default share."""
        assert info.field_name is not None
        share = cls.model_fields[info.field_name].default.share
        if isinstance(value, str):
            value = {"action": value}
        return {"share": share, **value} if isinstance(value, dict) else value


@dataclass(slots=True)
class Window:
    """The last attempts, each with what is conspicuous about it (None if nothing is)."""

    seen: deque[tuple[str | int | None, str]] = field(default_factory=deque)
    counts: dict[str | int | None, int] = field(default_factory=dict)
    """How often each conspicuous thing is in the window."""
    marked: int = 0
    """The attempts in the window that have one."""

    def add(self, mark: str | int | None, text: str) -> None:
        """Adds an attempt. Drops the oldest one if the window is full."""
        if len(self.seen) == WINDOW:
            old, _ = self.seen.popleft()
            if old is not None:
                self.marked -= 1
                self.counts[old] -= 1
                if not self.counts[old]:
                    del self.counts[old]
        self.seen.append((mark, text[: EXAMPLE_CHARS * 3]))
        if mark is not None:
            self.marked += 1
            self.counts[mark] = self.counts.get(mark, 0) + 1

    def most_common(self) -> list[tuple[str | int | None, int]]:
        """The conspicuous things, most frequent first."""
        return Counter(self.counts).most_common()

    def examples(self, wanted: Callable[[str | int], bool] | None = None) -> list[str]:
        """The latest different texts, each cut to a line and quoted: those whose mark is wanted, or
        by default all that have a mark, with it."""
        lines: dict[str, None] = {}
        for mark, text in reversed(self.seen):
            line = " ".join(text.split())
            if line and mark is not None and (wanted is None or wanted(mark)):
                cut = line if len(line) <= EXAMPLE_CHARS else f"{line[: EXAMPLE_CHARS - 1]}…"
                lines[f'{mark}: "{cut}"' if wanted is None else f'"{cut}"'] = None
        return list(lines)[:EXAMPLES]


@dataclass(slots=True)
class StageWatch:
    """Applies the guards to one stage, over all shards that this process runs."""

    guards: Guards
    stage: str
    """The stage's name for users: `01-evolve`."""
    say: Callable[[str], None]
    _windows: dict[str, Window] = field(
        default_factory=lambda: {guard: Window() for guard in Guards.model_fields}
    )
    _warned: set[str] = field(default_factory=set)

    def replied(self, reply: Reply, *, after_errors: bool) -> None:
        """Takes a reply. `after_errors`: the server failed before it answered.

        Raises `GuardError`.
        """
        if self.guards.faults is None:
            return
        fault = reply.fault or (AFTER_ERRORS if after_errors else None)
        window = self._add("faults", fault, reply.raw if reply.fault else reply.text)
        self._judge("faults", self.guards.faults, window, window.marked)

    def judged(self, text: str, reason: str | None, given: str = "") -> None:
        """Takes a new text, or "" if the stage writes none. See `Place.judged`.

        Raises `GuardError`.
        """
        guards = self.guards
        if guards.rejected is not None:
            window = self._add("rejected", reason, text)
            self._judge("rejected", guards.rejected, window, window.marked)
        if not text:
            return
        if guards.duplicates is not None:
            long = len(text) > HEAD_CHARS or len(text.split()) >= FEWEST_WORDS
            window = self._add("duplicates", hash(text) if long else None, text)
            self._judge("duplicates", guards.duplicates, window, window.marked - len(window.counts))
        if guards.openings is not None:
            begins = opening(text)
            mark = None if begins is None or begins == opening(given) else begins
            window = self._add("openings", mark, text)
            # later, only the count of the newest one can have risen
            first = len(window.seen) == FEWEST
            most = max(window.counts.values(), default=0) if first else window.counts.get(mark, 0)
            self._judge("openings", guards.openings, window, most)

    def _add(self, guard: str, mark: str | int | None, text: str) -> Window:
        window = self._windows[guard]
        window.add(mark, text)
        return window

    def _judge(self, guard: str, limit: Limit, window: Window, bad: int) -> None:
        among = len(window.seen)
        if among < FEWEST or bad < limit.share * among or guard in self._warned:
            return
        found, examples = EVIDENCE[guard](window)
        head = (
            f"{self.stage}: {bad} of the last {among} {found} (guard `{guard}`: {bad / among:.0%}, "
            f"limit {limit.share:.0%})"
        )
        if limit.action == "warn":
            self._warned.add(guard)
            example = f", for example {examples[0]}" if examples else ""
            self.say(f"WARNING: {head}{example}")
            return
        shown = "".join(f"\n  {example}" for example in examples)
        raise GuardError(
            f"{head}; the run stops before it pays for more{shown}\n"
            "Read these texts, then change the prompt, the sampling or the teacher and run the "
            "recipe again: finished rows and replies are kept, and unchanged requests are not sent "
            f"again. If the texts are as you want them, add `--set guards.{guard}=warn` or raise "
            "the guard's share"
        )


def opening(text: str) -> str | None:
    """The first five words, in lower case. None for a shorter text, and for JSON: keys recur."""
    words = text[:HEAD_CHARS].lower().split(maxsplit=OPENING_WORDS)[:OPENING_WORDS]
    if len(words) < OPENING_WORDS or words[0].startswith(("{", "[")):
        return None
    return " ".join(words)


def _rejected(window: Window) -> tuple[str, list[str]]:
    return f"attempts were rejected: {_counted(window)}", window.examples()


def _faults(window: Window) -> tuple[str, list[str]]:
    return f"replies had a fault: {_counted(window)}", window.examples()


def _duplicates(window: Window) -> tuple[str, list[str]]:
    most = max(window.counts.values())
    found = f"new texts repeat another one, one of them {most} times"
    return found, window.examples(lambda mark: window.counts[mark] > 1)


def _openings(window: Window) -> tuple[str, list[str]]:
    most = window.most_common()[0][0]
    return f'new texts begin with "{most}"', window.examples(lambda mark: mark == most)


EVIDENCE: dict[str, Callable[[Window], tuple[str, list[str]]]] = {
    "rejected": _rejected,
    "faults": _faults,
    "duplicates": _duplicates,
    "openings": _openings,
}
"""What each guard found in its window, in words, with example texts."""


def _counted(window: Window) -> str:
    named = ", ".join(f"{mark} {count}" for mark, count in window.most_common()[:MOST_NAMED])
    return named + (", …" if len(window.counts) > MOST_NAMED else "")
