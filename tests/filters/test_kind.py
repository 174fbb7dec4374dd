"""Kinds of text: rules made for web pages spare what is none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from filters.catalogue import FILTERS
from filters.quality.rules import KINDS, TextKind, kinds_of
from synth.batch import Batch
from synth.generate.styles import Style
from synth.record import derive, new_record, records_table
from tests.filters.rewrites import REWRITES
from tests.filters.rows import answers

ROOT = Path(__file__).parents[2]
RULES = ("gopher", "repetition", "c4", "fineweb")
KIND_OF_STYLE = {"table": TextKind.TABLE, "maths": TextKind.MATHS}
LATEX = """We complete the square: $x^2 + 6x + 5 = (x + 3)^2 - 4$.

$$\\begin{aligned}
(x + 3)^2 - 4 &= 0 \\\\
(x + 3)^2 &= 4 \\\\
x + 3 &= \\pm 2
\\end{aligned}$$

So $x = -1$ or $x = -5$.

The answer is \\boxed{-1, -5}."""
CODE = """```javascript
// Counts how often each word comes.
function count(words) {
  const times = {};
  for (const word of words) {
    times[word] = (times[word] || 0) + 1;
  }
  return times;
}
```"""
FAQ = """# Questions about seeds

**When are seeds sown?**
In March.

**Who may borrow?**
Members.

**What does it cost?**
Nothing...

- Beans
- Peas"""


def rewritten(style: str, texts: list[str]) -> Batch:
    """Documents as `rewrite` leaves them."""
    pages = records_table([new_record(text="page", source=str(i)) for i in range(len(texts))])
    step = {"stage": "rewrite", "request": "a", "operation": f"{style}/college"}
    ids = [f"{style}{i}" for i in range(len(texts))]
    steps, rows = [step] * len(texts), list(range(len(texts)))
    return Batch(derive(pages, rows, steps, ids, text=pa.array(texts, pa.string())))


def test_a_row_is_what_its_trail_says():
    def kind(batch: Batch, given: TextKind | None = None) -> list[TextKind]:
        return [KINDS[at] for at in kinds_of(batch, given).tolist()]

    assert kind(Batch.of_texts(["a", "b"])) == [TextKind.PAGE] * 2
    assert kind(Batch.of_prompts(["a"])) == [TextKind.CHAT]
    assert kind(Batch(answers([("Why?", "So.")]))) == [TextKind.CHAT]
    for style in (*Style, "unheard_of"):
        assert kind(rewritten(style, ["a"])) == [KIND_OF_STYLE.get(style, TextKind.LESSON)]
    assert kind(rewritten("faq", ["a"]), TextKind.PAGE) == [TextKind.PAGE]
    mixed = pa.concat_tables([Batch.of_texts(["a"]).table, answers([("Why?", "So.")])])
    assert kind(Batch(mixed)) == [TextKind.PAGE, TextKind.CHAT]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("style", Style)
def test_no_clean_rewrite_dies_from_rules_for_pages(name, style):
    assert FILTERS[name]().judge(rewritten(style, [REWRITES[style]])).reasons == [None]


def test_rules_for_pages_would_drop_every_table_and_problem():
    batch = Batch.of_texts([REWRITES[Style.TABLE], REWRITES[Style.MATHS]])
    assert FILTERS["c4"](kind="page").judge(batch).reasons == ["too_few_sentences", "curly_bracket"]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("kind", "text"), [("lesson", FAQ), ("maths", LATEX), ("code", CODE), ("chat", "42")]
)
def test_texts_that_are_no_pages_stay(name, kind, text):
    assert FILTERS[name](kind=kind).judge(Batch.of_texts([text])).reasons == [None]


@pytest.mark.parametrize("name", RULES)
def test_programs_stay(name):
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "synth").rglob("*.py"))]
    reasons = FILTERS[name](kind="code").judge(Batch.of_texts(sources)).reasons
    assert len(sources) > 50
    assert reasons == [None] * len(sources)
