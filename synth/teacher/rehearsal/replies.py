"""From the chat turns of a request to a clean reply. The system turn's first line names the job.

    Task: evolve a prompt (deepen)      user: <prompt>\\n…\\n</prompt>
    Task: evolve a prompt (checkable)   user: <constraint>\\n…\\n</constraint>\\n<prompt>\\n…
    Task: rewrite a source (faq)        user: <title>…</title>\\n<source>\\n…\\n</source>
    demands the line `=== name ===`     the same, from a prompt file of the user's own
    anything else                       the last user turn is answered

Nothing but the request is read: the teacher cannot know more than a model would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from synth.instructions.stated import stated
from synth.teacher.rehearsal.answer import Draft, answer
from synth.teacher.rehearsal.assist import improve, invent, judge
from synth.teacher.rehearsal.dice import Dice
from synth.teacher.rehearsal.evolve import evolve
from synth.teacher.rehearsal.instance import instance
from synth.teacher.rehearsal.obey import obey
from synth.teacher.rehearsal.rewrite import rewrite
from synth.teacher.schema import NOT_YET

Task = Literal["evolve", "rewrite", "answer", "json", "judge", "improve", "invent"]
TASKS: dict[str, Task] = {
    "evolve a prompt": "evolve",
    "rewrite a source": "rewrite",
    "judge an evolved prompt": "judge",
    "improve an instruction": "improve",
    "invent a prompt": "invent",
}
TASK_LINE = re.compile(rf"Task: ({'|'.join(TASKS)}) \((\w+)\)\s*$")
DEMANDED = re.compile(r"`=== (\w{1,60}) ===`")


@dataclass(frozen=True, slots=True)
class Job:
    """What a request asks for, as far as its text tells."""

    task: Task
    given: str
    """The prompt to evolve or answer, or the source to rewrite."""
    name: str = ""
    """The operation or style."""
    instructions: str = ""
    """The system turn."""
    constraint: str = ""
    """What an evolved prompt is to demand, word for word."""
    title: str = ""
    audience: str = ""
    schema: dict[str, Any] = field(default_factory=dict)


def read_job(turns: list[tuple[str, str]], schema: dict[str, Any] | None) -> Job:
    """The job that the turns, (role, text) each, describe: an answer unless they say otherwise."""
    system = next((text for role, text in turns if role in ("system", "developer")), "")
    user = next((text for role, text in reversed(turns) if role == "user"), turns[-1][1])
    if schema is not None:
        if user.startswith(NOT_YET):  # a second try is about what the first was about
            user = [text for role, text in turns if role == "user"][-2:][0]
        return Job("json", user, instructions=system, schema=schema)
    line, demanded = TASK_LINE.match(system.partition("\n")[0]), DEMANDED.search(system)
    task = TASKS[line[1]] if line is not None else "rewrite"
    if line is not None and task == "evolve":
        added = _inside(user.partition("<prompt>")[0], "constraint", otherwise="")
        return Job("evolve", _inside(user, "prompt"), line[2], system, added)
    if line is not None and task != "rewrite":
        return Job(task, user, line[2], system)
    if name := (line and line[2]) or (demanded and demanded[1]):
        title = _inside(user.partition("<source>")[0], "title", otherwise="")
        return Job("rewrite", _inside(user, "source"), name, system, "", title, _audience(system))
    return Job("answer", user, instructions=system)


def _inside(text: str, tag: str, otherwise: str | None = None) -> str:
    """What stands between the first opening and the last closing tag, as text may hold both."""
    start, end = text.find(f"<{tag}>"), text.rfind(f"</{tag}>")
    if start < 0 or end < start:
        return text if otherwise is None else otherwise
    return text[start + len(tag) + 2 : end].strip()


def _audience(system: str) -> str:
    for line in system.splitlines()[1:]:
        if line.startswith("Audience:"):
            return line.removeprefix("Audience:").strip()
    return ""


def compose(job: Job, dice: Dice) -> Draft:
    """The clean reply to a job: the same job and dice, the same text."""
    match job.task:
        case "evolve":
            return Draft(evolve(job.name, job.given, dice, job.constraint))
        case "rewrite":
            return Draft(rewrite(job.name, job.given, job.title, job.audience, dice))
        case "json":
            return Draft(orjson.dumps(instance(job.schema, job.given, dice)).decode())
        case "judge":
            return Draft(judge(job.given, dice))
        case "improve":
            return Draft(improve(job.given, dice))
        case "invent":
            return Draft(invent(job.name, job.given, dice))
        case "answer":
            draft, wanted = answer(job.given, dice), stated(job.given)
            if not wanted:
                return draft
            return replace(draft, text=obey(draft.text, wanted, job.given, dice.fork("obey")))
