"""Constraints that are drawn for a prompt: what suits it, how it is said, and that it is read."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import combinations

import pytest

from filters.verify.instructions.rules import RULES
from synth.instructions.attached import Instruction, attached, read_attached, write_attached
from synth.instructions.draw import draw
from synth.instructions.families import FAMILIES, Aspect, Family
from synth.instructions.stated import stated, states

PLAIN = "Why do cats purr?"
EACH = [(family, wording) for family in FAMILIES for wording in family.wordings]


def drawn(prompt: str, count: int = 200, given: list[Instruction] | None = None) -> set[str]:
    """The kinds that are drawn for the prompt."""
    found = [draw(prompt, given or [], random.Random(seed)) for seed in range(count)]
    return {one.instruction.id for one in found if one is not None}


@pytest.mark.parametrize(("family", "wording"), EACH)
def test_each_wording_is_read_as_what_it_states_and_nothing_else(
    family: Family, wording: str
) -> None:
    alone = replace(family, wordings=(wording,))
    for seed in range(20):
        one = alone.draw(random.Random(seed), PLAIN, short=seed % 2 == 0)
        assert stated(one.sentence) == (one.instruction,)
        assert states(f"{PLAIN} {one.sentence} Tell a vet.", one.instruction)


def test_each_kind_has_a_rule_and_several_wordings() -> None:
    assert {family.id for family in FAMILIES} <= RULES.keys()
    assert all(len(set(family.wordings)) >= 3 for family in FAMILIES)


def test_the_same_chance_draws_the_same_constraint() -> None:
    first, again = (draw(PLAIN, [], random.Random(3)) for _ in range(2))
    assert first == again
    assert len({str(draw(PLAIN, [], random.Random(seed))) for seed in range(50)}) > 30


def test_a_plain_question_may_get_any_kind() -> None:
    assert drawn(PLAIN, 400) == {family.id for family in FAMILIES}


@pytest.mark.parametrize(
    ("prompt", "absent"),
    [
        ("Write a Python function `f(x) -> int` that adds 1.", "change_case:english_lowercase"),
        ("Write a Python function `f(x) -> int` that adds 1.", "length_constraints:number_words"),
        ("What is 6 * 7 in total?", "detectable_format:json_format"),
        ("Why do cats purr? At most 50 words.", "length_constraints:number_words"),
        ("Why do cats purr? Be brief.", "length_constraints:number_paragraphs"),
        ("Why do cats purr? Answer in JSON.", "punctuation:no_comma"),
        ("Explain capital letters.", "change_case:english_capital"),
        ("List three cats.", "detectable_format:number_bullet_lists"),
        ("Why do cats purr? End with a joke.", "startend:end_checker"),
        ("Why do cats purr? Begin with a joke.", "detectable_format:title"),
    ],
)
def test_what_the_prompt_says_of_an_aspect_keeps_constraints_on_it_away(
    prompt: str, absent: str
) -> None:
    found = drawn(prompt)
    assert absent not in found
    assert found or "JSON" in prompt


def test_a_prompt_in_another_language_is_left_alone() -> None:
    assert drawn("Warum schnurren die Katzen, wenn man sie streichelt, und was heißt das?") == set()


def test_constraints_that_are_drawn_together_share_no_aspect() -> None:
    about: dict[str, frozenset[Aspect]] = {}
    for family in FAMILIES:
        about[family.id] = about.get(family.id, frozenset()) | family.about
    for seed in range(60):
        prompt, given = PLAIN, list[Instruction]()
        while (one := draw(prompt, given, random.Random(f"{seed} {len(given)}"))) is not None:
            prompt, given = f"{prompt} {one.sentence}", [*given, one.instruction]
        for one_, other in combinations([each.id for each in given], 2):
            assert not about[one_] & about[other]
        assert all(states(prompt, each) for each in given)


def test_of_what_is_held_and_not_known_nothing_is_contradicted() -> None:
    assert drawn(PLAIN, given=[Instruction("mood:cheerful")]) == set()
    assert "keywords:existence" not in drawn(PLAIN, given=[Instruction("keywords:frequency")])


def test_meta_holds_what_it_is_given_in_ifevals_columns() -> None:
    no_comma = Instruction("punctuation:no_comma")
    ours = '{"instructions":[{"id":"count:numbers","N":3}],"kwargs":[],"lang":"en"}'
    both = write_attached(ours, [*read_attached(ours), no_comma])
    assert json.loads(both) == {
        "instruction_id_list": ["count:numbers", "punctuation:no_comma"],
        "kwargs": [{"N": 3}, {}],
        "lang": "en",
    }
    assert attached(json.loads(both)) == [Instruction("count:numbers", {"N": 3}), no_comma]
    assert write_attached(both, []) == '{"lang":"en"}'
    assert write_attached('{ "a": 1}', []) == '{ "a": 1}'  # untouched where nothing changes
