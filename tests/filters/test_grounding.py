"""`facts`, `copying` and `arithmetic`: each spelling, each form, and real rephrasings."""

from __future__ import annotations

from math import isnan
from typing import Any

import pytest

from filters.grounding.arithmetic import Arithmetic, calculations
from filters.grounding.copying import Copying, copied
from filters.grounding.facts import Facts, new_facts
from synth.batch import Batch
from synth.record import EMPTY_STEP, new_record, records_table
from synth.text.words import words_of
from tests.filters.rows import answers
from tests.limits import cpu_within

SOURCE = """The seed library in Orrin lends more than 340 varieties of vegetables. Members borrow
a packet in March and return seed from their own plants by 14 October 2011. Beans come back true to
type, whereas squash cross easily. In 2011 a cold spring ruined half of the tomatoes, and 27 members
shared what they had left. The catalogue is not kept on cards but in a wooden drawer for 1.2 million
entries, as the Office of Seeds asks. Most members always dry their seed before they store it."""


def rewritten(text: str, *, style: str = "faq", source: str | None = SOURCE, **meta: Any) -> Batch:
    row = new_record(text=text, reference={"source": source}, meta=meta)
    step = {**EMPTY_STEP, "stage": "rewrite", "request": "a", "operation": f"{style}/college"}
    row["trail"].append(step)
    return Batch(records_table([row]))


@pytest.mark.parametrize(
    "text",
    [
        "It lends three hundred and forty varieties, or about 350 of them.",
        "By October 14, 2011 (2011-10-14) the seed is back; half, or 50 per cent, was lost.",
        "1. Step 3 has three main points.\n2. There are 1,200,000 entries, i.e. 1.2 million.",
        "# Great Things In Fable Town\n\n**Harbour Lights.** The OOS asks it of Orrin's.",
        "They follow the OOS's wish, and in Orrin the OS\u2019s.",
        "| Nr | Fact |\n|---|---|\n| 1 | Orrin lends seed. |",
        "Ina: What is the SEED library, Mr Okoro?\nMr Okoro: Ask away, Ina.",
        "Twenty-seven members shared. Only one of them spoke of the Orrin library in March.",
    ],
)
def test_other_spellings_of_the_sources_facts_are_no_new_ones(text):
    assert new_facts(SOURCE, text) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("It lends some 430 varieties.", "number"),
        ("It lends forty-seven varieties.", "number"),
        ("It lends 2,400 varieties.", "number"),
        ("A share of 13% was lost.", "number"),
        ("They return seed by 15 October 2011.", "date"),
        ("They return seed in May 2011.", "date"),
        ("They return seed on a Tuesday.", "date"),
        ("It was founded by Elena Marchetti.", "name"),
        ("The seed library in Ostrava lends.", "name"),
    ],
)
def test_a_new_number_date_or_name_is_found(text, kind):
    assert [found for found, _ in new_facts(SOURCE, text)][:1] == [kind]
    batch = rewritten(text)
    assert Facts().judge(batch).reasons == [f"{kind}_not_in_source"]
    assert Facts().judge(rewritten(text, style="story")).reasons == [None]
    assert Facts().judge(rewritten(text, style="story")).scores[0] >= 1
    assert Facts(max_new=3).judge(batch).reasons == [None]


def test_nouns_of_german_are_no_names_and_its_figures_are_compared():
    german = (
        "Der Turm steht seit 1856 am Hafen von Lindau. In den ersten sechs Jahren wurde das Licht "
        "durch ein offenes Feuer erzeugt, das der Wärter selbst erhalten musste. Später stieg man "
        "auf Petroleum und dann auf Gas um, und heute wird er von selbst und nur noch bei Bedarf "
        "eingeschaltet."
    )
    assert new_facts(german, "Früher sorgte ein Wächter am Ufer für die Flamme.") == []
    assert new_facts(german, "Er steht dort seit dem Jahr 1865.") == [("number", "1865")]


def test_what_the_title_says_is_known_to_a_rewrite():
    text = "The 17 gardeners of Kettering lend seed."
    assert Facts().judge(rewritten(text)).reasons == ["number_not_in_source"]
    told = rewritten(text, title="17 gardeners", section="In Kettering")
    assert Facts().judge(told).reasons == [None]


@pytest.mark.parametrize("one", [Facts(), Copying()])
@pytest.mark.parametrize("source", [None, "", "x" * 60_000])
def test_without_a_source_to_hold_it_against_nothing_is_judged(one, source):
    verdicts = one.judge(rewritten("About 99 of them in Ostrava.", source=source))
    assert verdicts.reasons == [None]
    assert isnan(verdicts.scores[0])


KEPT = """More than 340 varieties of vegetables can be borrowed from the seed library in Orrin.
A packet is borrowed by members in March, and seed from their plants returned by October 2011.
Squash cross easily, while beans come back true to type.
A cold spring ruined tomatoes in 2011, so 27 members shared what was left.
The catalogue isn't kept on cards; it has a wooden drawer with entries, as the office of seeds asks.
Members dry their seed before storing it, most of them always."""


def test_copied_words_are_a_share_and_a_run():
    words = words_of(SOURCE)
    assert copied(SOURCE, words) == (1.0, len(words), len(words))
    assert copied(SOURCE, words[::-1]) == (0.0, 0, 0)
    assert copied(SOURCE, [*words[:20], *["new"] * 20]) == (0.5, 20, 20)
    assert copied(SOURCE, [*words[:20], *words[30:45]]) == (1.0, 20, 35)
    assert Copying().judge(rewritten(SOURCE)).reasons == ["copied_share"]
    quoted = f"{' '.join(words[:70])} {'entirely new words ' * 40}"
    assert Copying().judge(rewritten(quoted)).reasons == ["copied_passage"]
    assert Copying().judge(rewritten(KEPT)).reasons == [None]
    excerpt = f"{' '.join([*words[:36], *words[44:80]])} {'entirely new words ' * 40}"
    assert Copying().judge(rewritten(excerpt)).reasons == ["copied_passage"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("340 - 27 = 313. The answer is \\boxed{313}.", None),
        ("340 - 27 = 314. The answer is \\boxed{314}.", "calculation_wrong"),
        ("340 - 27 = 313. The answer is \\boxed{314}.", "answer_not_derived"),
        ("2 + 3 × 4 = 14, and $1,200 / 5 = $240, so 20% of it is 240 * 20% = 48.", None),
        ("10 / 3 = 3.33", None),
        ("10 / 3 = 3.43", "calculation_wrong"),
        ("5 + 120 - 80 = 45 and then 2x + 3 = 9, so 6 / 0 = 0.", None),
        ("1/2 + 1/4 = 3/4", None),
        ("1/2 + 1/4 = 2/6", "calculation_wrong"),
        ("x = 36 / 9 = 4", None),
        ("x = 36 / 9 = 7", "calculation_wrong"),
        ("Total = 12.40 + 7.85 = 20.25", None),
        ("Total = $12.40 + $7.85 = $21.25", "calculation_wrong"),
        ("5 + 3 = 8 * 2 = 16", None),
        ("(84 - 30) / 9 = 54 / 9 = 6", None),
        ("2 * (3 + 4 * (10 - 7)) = 33", "calculation_wrong"),
        ("2(3) + 1 = 8", "calculation_wrong"),
        ("\\(\\dfrac{30 + 6}{9} + 1 = \\boxed{6}\\)", "calculation_wrong"),
        ("A = \\frac{1}{2} \\times 6 \\times 4 = 12.", None),
        ("We add (5 + 7 = 12), or 7 + 5 = 12 (twelve).", None),
        ("We add (5 + 7 = 13).", "calculation_wrong"),
        ("**12 + 8 = 21**", "calculation_wrong"),
        ("<<12*8=95>>", "calculation_wrong"),
        ("- 3 + 5 = 8\n1) 3 + 5 = 8", None),
        ("-3 + 5 = 8", "calculation_wrong"),
        ("200 / 3 = 66.66, 7 / 2 = 3 1/2 and 19 / 5 = 3 remainder 4", None),
        ("n - 3 + 5 = 9, f(3 + 4) = 14, \\log 100 + 3 = 5, 10^3 + 5 = 1005 and √9 + 1 = 4", None),
        ("3 + 4 = 10 - x and 3 + 10^2 = 103, while 3,5 + 1,5 = 5", None),
        ("The rest is 100% - 60% - 80% = 40%.", "calculation_wrong"),
        ("15 / 60 = 25% and 25% × 80 = 20", None),
        ("In base 8 we have 7 + 1 = 10.", None),
        ("Base-two sums: 1 + 1 = 10, and in binary 10 + 1 = 11.", None),
        ("On a clock 10 + 5 = 3, and 17 % 5 = 2 is 17 mod 5 = 2.", None),
        ("In base 10 we have 7 + 1 = 10.", "calculation_wrong"),
        ("15 + 10 = 1 (mod 12)", None),
        ("$15 + 10 \\equiv 1 \\pmod{12}$, so 15 + 10 = 1", None),
        ("The base is 6: 6 * 4 = 20", "calculation_wrong"),
        ("A common mistake is to add them: 1/2 + 1/3 = 2/5. It is 5/6.", None),
        ("2 + 2 = 5 is wrong.", None),
        ("Note that it is not 2 + 2 = 5.", None),
        ("That was a mistake. So 2 + 2 = 5.", "calculation_wrong"),
        ("He did not pay. 2 + 2 = 5", "calculation_wrong"),
        ("3/4 + 1/4 = 1, so \\boxed{\\frac{3}{4}}", "answer_not_derived"),
        ("if 2 + 2 == 5: x = 2 + 2 // 3", None),
        ("Nothing to work out.", None),
    ],
)
def test_each_calculation_is_done_again(text, reason):
    assert Arithmetic().judge(Batch.of_texts([text])).reasons == [reason]


def test_a_base_that_the_prompt_states_holds_for_the_answer():
    table = answers([("Add 7 and 1 in base 8.", "7 + 1 = 10"), ("Add 7 and 1.", "7 + 1 = 10")])
    assert Arithmetic().judge(Batch(table)).reasons == [None, "calculation_wrong"]


@pytest.mark.parametrize(
    "piece", ["1+1=", "=1", "1+", "(", "1+1=2 ", "\\frac{1}{", "\\boxed{", "1)=", "1+1=2;"]
)
def test_a_line_of_any_shape_is_worked_out_in_linear_time(piece):
    with cpu_within(1):
        calculations(piece * (50_000 // len(piece)))


@pytest.mark.gold
def test_real_rephrasings_are_grounded_and_those_of_others_are_not(gold):
    questions = [row["question"] for row in gold("gsm8k_test.jsonl")]
    rephrased = [
        row["text"].split("\nAnswer:")[0].removeprefix("Question:")
        for row in gold("rephrased_gsm8k.jsonl")
    ]
    own = list(zip(questions, rephrased, strict=True))[:250]
    assert sum(bool(new_facts(*pair)) for pair in own) <= 8  # among them 3 with another name
    crossed = list(zip(questions, rephrased[1:], strict=False))[:100]
    assert sum(bool(new_facts(*pair)) for pair in crossed) >= 95


@pytest.mark.gold
def test_no_worked_gold_answer_is_called_wrong(gold):
    import re

    answers = [re.sub("<<.*?>>", "", row["answer"]) for row in gold("gsm8k_test.jsonl")]
    assert not any(Arithmetic().judge(Batch.of_texts(answers)).reasons)
    solved = [row["solution"] for row in gold("gsm8k_model_solutions.jsonl") if row["is_correct"]]
    # 520*(1+0.18)=500, and $132 + $6.6 = $138: both are wrong, and the answers right
    assert sum(map(bool, Arithmetic().judge(Batch.of_texts(solved)).reasons)) <= 2
