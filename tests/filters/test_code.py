"""`code`: gold, near miss, malformed and worthless tests, in every format of tests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from filters.verify.code import Code
from filters.verify.code_judge import CodeJudge, program_in
from filters.verify.code_tests import UnusableTestsError, read_tests, same_output
from filters.verify.sandbox.pool import Sandbox
from synth.batch import Batch
from synth.errors import RefusedError
from synth.record import new_record, records_table
from synth.verdicts import Check, Verdict
from tests.limits import cpu_within

CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-3) == 9\n"
PROMPT = 'import math\n\ndef square(x):\n    """The square of x."""\n'
PROGRAM = {"inputs": ["2\n", "10"], "outputs": ["4\n", "100"]}


@pytest.fixture(scope="module")
def judge(sandbox: Sandbox) -> CodeJudge:
    """Checks with the defaults, in warm lanes."""
    return CodeJudge(sandbox, [], Code().budget)


def checked(judge: CodeJudge, text: str, tests: Any, prompt: str = "") -> Check:
    """The check of an answer; tests that are no text are JSON."""
    packed = tests if isinstance(tests, str) else json.dumps(tests)
    return judge.check(prompt, text, read_tests(packed, prompt))


@pytest.mark.parametrize(
    "tests",
    [
        f"{CHECK}\ncheck(square)\n",
        "assert square(2) == 4\nassert square(-3) == 9",
        "def test_square():\n    assert square(2) == 4\n    assert square(-3) == 9",
        "from solution import square\ndef test_it():\n    assert square(x=3) == 9",
        {"fn_name": "square", "inputs": [[2], [-3]], "outputs": [4, 9]},
        {"fn_name": "square", "inputs": [[2], [-3]], "outputs": [[4], [9]]},
    ],
    ids=["HumanEval", "MBPP", "pytest", "import", "cases", "cases as APPS wraps them"],
)
@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("def square(x):\n    return x * x", "pass"),
        ("square = lambda x: x ** 2", "pass"),
        ("def square(x):\n    return x + x", "fail"),
        ("def square(x):\n    return str(x * x)", "fail"),
        ("def square(x):\n    return None", "fail"),
        ("def square(x):\n    ...", "fail"),
        ("def squared(x):\n    return x * x", "fail"),
        ("def square(x): return x *", "fail"),
        ("", "fail"),
    ],
)
def test_a_function_passes_by_what_it_gives(judge, tests, code, verdict):
    assert checked(judge, f"```python\n{code}\n```", tests).verdict == verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("    return x * x\n", "pass"),
        ("return x * x", "pass"),
        ("    y = x * x\n    return math.floor(y)", "pass"),
        ("```python\n    return x * x\n```", "pass"),
        (
            f"Sure!\n```python\n{PROMPT}    return x * x\n```\nTry it:\n```python\nsquare(3)\n```",
            "pass",
        ),
        ("    return x\n", "fail"),
        ("", "fail"),
        ("    # nothing", "fail"),
        ("I cannot do that.", "fail"),
    ],
)
def test_an_answer_may_go_on_where_a_prompt_of_code_ends(judge, text, verdict):
    assert checked(judge, text, f"{CHECK}\ncheck(square)\n", PROMPT).verdict == verdict


def test_a_check_that_nothing_calls_gets_the_function_of_the_prompt(judge):
    assert checked(judge, "    return x * x", CHECK, PROMPT).verdict is Verdict.PASS
    assert checked(judge, "    return x", CHECK, PROMPT).verdict is Verdict.FAIL


def test_prose_is_no_code_that_fails(judge):
    check = checked(judge, "It is x times x.", f"{CHECK}\ncheck(square)\n", "How do I square?")
    assert (check.verdict, "no code in the answer" in check.note) == (Verdict.UNVERIFIED, True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = 1", "x = 1"),
        ("1. So:\n\n    ```python title=a\n    if x:\n        y\n    ```\n", "if x:\n    y\n"),
        ("```python\nx = 1\n```\n```\n1\n```\n``` a `b` ```", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1", "x = 1\n"),
        ("```py\ndef f(): 1\n```\n```py\nf()\n```", "def f(): 1\n"),
        ("```\n1\n```\n~~~python\nx = 1\n~~~\n```\n2\n```", "x = 1\n"),
        ("```bash\npip install x\n```\n```\nx = 1\n```", "x = 1\n"),
        ("````\n```\nx\n```\n````", "```\nx\n```\n"),
    ],
)
def test_the_program_is_the_last_block_that_defines_something(text, code):
    assert program_in(text).last == code


@pytest.mark.parametrize(
    "line", ["```" + "a" * 10**6 + "`", "~~~" * 10**5 + "`", "```\n" * 10**5, "\n" * 10**6]
)
def test_fences_of_any_shape_are_found_in_linear_time(line):
    with cpu_within(1):
        program_in(line)


@pytest.mark.parametrize(
    ("given", "expected", "verdict"),
    [
        ("1", 1, "pass"),
        ("True", 1, "fail"),
        ("1.0", 1, "pass"),
        ("1.5", 1, "fail"),
        ("1", True, "fail"),
        ("(1, [2])", [1, [2]], "pass"),
        ("{'a': (1,)}", {"a": [1]}, "pass"),
        ("{'a': 1.0}", {"a": 1}, "pass"),
        ("(i for i in [1, 2])", [1, 2], "pass"),
        ("(i for i in [1, 2])", [1, 2, 3], "fail"),
        ("0.1 + 0.2", 0.3, "pass"),
        ("0.3001", 0.3, "fail"),
        ("float('nan')", 0.0, "fail"),
        ("'1'", 1, "fail"),
        ("[1]", [1], "pass"),
        ("[[1]]", [1], "fail"),
        ("{1}", [1], "fail"),
        ("__import__('collections').Counter('a')", {"a": 1}, "pass"),
        ("2 ** 70", 2**70, "pass"),
    ],
)
def test_values_are_compared_with_their_types(judge, given, expected, verdict):
    tests = {"fn_name": "f", "inputs": [[0], [1]], "outputs": [expected, "end"]}
    code = f"def f(x): return 'end' if x else {given}"
    assert checked(judge, code, tests).verdict == verdict


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("print(int(input()) ** 2)", "pass"),
        ("import sys\nprint(int(sys.stdin.read()) ** 2, '\\n\\n')", "pass"),
        ("print(int(input()) ** 2)\nraise SystemExit", "pass"),
        ("if __name__ == '__main__':\n    print(int(input()) ** 2)", "pass"),
        ("import atexit\natexit.register(lambda: print(int(input()) ** 2))", "pass"),
        ("print(int(input()) ** 2)\nraise ValueError", "fail"),
        ("print(int(input()) ** 2)\nexit(1)", "fail"),
        ("print(int(input()) ** 2)\nquit()\nraise ValueError", "pass"),
        ("import sys\nprint(int(input()) ** 2 // len(sys.argv))", "pass"),
        ("from __future__ import annotations\ndef f(x: No): print(x * x)\nf(int(input()))", "pass"),
        ("def f(x: No): print(x * x)\nf(int(input()))", "fail"),
        ("import os\nprint(int(os.read(0, os.fstat(0).st_size)) ** 2)", "pass"),
        ("print(int(open(0).read()) ** 2)", "pass"),
        ("print(4)", "fail"),
        ("print('x', int(input()) ** 2)", "fail"),
        ("print(int(input()) **", "fail"),
        ("", "fail"),
    ],
)
@pytest.mark.parametrize(
    "tests", [PROGRAM, [{"input": "2", "output": "4"}, {"input": "10\n", "output": "100\n\n"}]]
)
def test_a_program_passes_by_what_it_prints(judge, tests, program, verdict):
    assert checked(judge, f"```python\n{program}\n```", tests).verdict == verdict


@pytest.mark.parametrize(
    "tests",
    [
        "assert True",
        "x = 1",
        "square",
        "square(2)",
        "try:\n    assert square(2) == 4\nexcept BaseException:\n    pass",
        "assert square(2) is None or True",
        "assert square(2) != 5",
        "assert square(2) is not None",
        "assert square(2) not in (None, ('synth',))",
        "assert isinstance(square(2), int)",
        {"fn_name": "square", "inputs": [[2]], "outputs": [None]},
        "def check(candidate):\n    assert candidate(2) == 4",
        "class TestIt:\n    def test_it(self):\n        assert square(2) == 4",
    ],
)
def test_tests_that_a_constant_passes_prove_nothing(judge, tests):
    check = checked(judge, "def square(x): return x * x", tests)
    assert check.verdict is Verdict.UNVERIFIED


@pytest.mark.parametrize(
    "tests",
    [
        "assert square(2) ==",
        "import numpy_is_not_here\nassert square(2) == 4",
        "assert 1 == 2",
        "x = 1 / 0",
    ],
)
def test_tests_that_do_not_run_are_no_fault_of_the_answer(judge, tests):
    assert checked(judge, "def square(x): return x * x", tests).verdict is Verdict.ERROR


@pytest.mark.parametrize("text", [None, "", " \n", "[]", "{}", '{"inputs": [], "outputs": []}',
                                  '{"inputs": ["1"], "outputs": []}', '[{"input": 1}]',
                                  '{"inputs": ["1"], "outputs": [" "]}', "x" * 2_000_000,
                                  '{"fn_name": "f", "inputs": [1], "outputs": [1]}',
                                  '{"fn_name": "f", "inputs": ["x"], "outputs": ["1"]}',
])  # fmt: skip
def test_unusable_tests_are_told_apart(text):
    with pytest.raises(UnusableTestsError):
        read_tests(text, "")


def test_an_answer_cannot_replace_a_helper_of_the_tests(judge):
    prompt = "def double(x):\n    return 2 * x\n\ndef halve(x):\n    '''Undoes double.'''\n"
    tests = "assert double(halve(8)) == 8\nassert double(halve(-2)) == -2"
    honest = "def halve(x):\n    return x // 2"
    forged = "def double(x):\n    return x\n\ndef halve(x):\n    return x"
    assert checked(judge, honest, tests, prompt).verdict is Verdict.PASS
    assert checked(judge, forged, tests, prompt).verdict is Verdict.FAIL


def test_tests_may_expect_an_exception(judge):
    tests = (
        "try:\n    root(-1)\n    assert False\nexcept ValueError as error:\n"
        "    assert 'negative' in str(error)\nassert root(4) == 2"
    )
    raises = "def root(x):\n    if x < 0: raise ValueError('negative')\n    return int(x ** 0.5)"
    assert checked(judge, raises, tests).verdict is Verdict.PASS
    assert checked(judge, raises.replace("ValueError", "KeyError"), tests).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("map(str, x)", "pass"),
        ("(str(i) for i in x)", "pass"),
        ("(i for i in x)", "fail"),
        ("__import__('itertools').count()", "fail"),
        ("range(10 ** 18)", "fail"),
        ("lambda: x", "fail"),
        ("object()", "fail"),
        ("print", "fail"),
    ],
)
def test_a_generator_crosses_and_what_is_no_literal_fails(judge, code, verdict):
    check = checked(judge, f"def f(x): return {code}", "assert list(f([1])) == ['1']")
    assert check.verdict == verdict


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("def f(x): return lambda y: x + y", "assert f(1)(2) == 3"),
        ("class Stack:\n    def top(self): return 1", "assert Stack().top() == 1"),
        ("class Stack:\n    def __eq__(self, other): return True", "assert Stack() == Stack()"),
    ],
)
def test_tests_that_need_more_than_literals_leave_an_answer_open(judge, code, tests):
    assert checked(judge, code, tests).verdict is Verdict.UNVERIFIED


def test_no_answer_passes_by_a_value_that_is_true_and_no_literal(judge):
    tests = "assert even(2)\nassert not even(3)"
    assert checked(judge, "def even(x): return x % 2 == 0", tests).verdict is Verdict.PASS
    assert checked(judge, "def even(x): return x % 2 == 0 and print", tests).verdict is Verdict.FAIL
    tests = "assert Even(2) is True\nassert Even(3) is False"
    assert (
        checked(judge, "class Even:\n    def __init__(self, x): 1", tests).verdict is Verdict.FAIL
    )


@pytest.mark.parametrize("expected", ["Fraction(1, 2)", "Fraction(1, 3)"])
def test_numbers_and_dates_of_the_standard_library_cross(judge, expected):
    code = "from fractions import Fraction\ndef half(x): return Fraction(x, 2 * x)"
    tests = f"from fractions import Fraction\nassert half(3) == {expected}"
    verdict = Verdict.PASS if "2" in expected else Verdict.FAIL
    assert checked(judge, code, tests).verdict is verdict


def test_a_forged_reply_or_a_huge_answer_cannot_leave_itself_open(judge):
    tests = "assert f(1) == 1\nassert f(2) == 4"
    frame = '["no code", null, null]'
    for text in (
        f"import os\nos.write(4, b'\\0\\0\\0\\x18{frame}')\ndef f(x): return 1",
        "import os\nos.write(4, b'\\0\\0\\0\\1P')\ndef f(x): return 1",
        f"def f(x): return x * x\n# {'x' * 2_000_000}",
    ):
        assert checked(judge, text, tests).verdict is Verdict.FAIL


def test_what_a_call_does_to_its_arguments_is_seen_where_tests_call_it_for_that(judge):
    tests = "given = [3, 1, 2]\norder(given)\nassert given == [1, 2, 3]"
    check = f"def check(candidate):\n    {tests.replace('order', 'candidate')}\n\ncheck(order)"
    check = check.replace("\ncandidate", "\n    candidate").replace("\nassert", "\n    assert")
    for one in (tests, check):
        assert checked(judge, "def order(x): x.sort()", one).verdict is Verdict.PASS
        assert checked(judge, "def order(x): x.reverse()", one).verdict is Verdict.FAIL
        assert checked(judge, "def order(x): return sorted(x)", one).verdict is Verdict.FAIL


SOLUTION = (
    "class Solution:\n    def add(self, a: List[int], b: int):\n        return [i + b for i in a]"
)


@pytest.mark.parametrize(
    "tests",
    [
        {"fn_name": "add", "inputs": [[[1], 2], [[3], 4]], "outputs": [[3], [7]]},
        {"fn_name": "add", "inputs": ["[1]\n2", "[3]\n4"], "outputs": ["[3]", "[7]"]},
        "def check(candidate):\n    assert candidate(a=[1], b=2) == [3]\ncheck(Solution().add)",
        "from solution import Solution\nassert Solution().add([3], 4) == [7]",
    ],
    ids=["TACO", "LiveCodeBench", "LeetCode", "import"],
)
def test_the_method_of_a_class_solution_is_called(judge, tests):
    imported = f"from typing import List\n{SOLUTION}"
    assert checked(judge, f"```python\n{imported}\n```", tests).verdict is Verdict.PASS
    assert checked(judge, imported.replace("+", "-"), tests).verdict is Verdict.FAIL


def test_leetcodes_imports_are_made_where_a_function_is_called_by_name_and_are_no_answer(judge):
    by_name = {"fn_name": "gcd", "inputs": [[4, 6], [9, 6]], "outputs": [2, 3]}
    lazy = "def gcd(a, b) -> Optional[int]:\n    return reduce(math.gcd, (a, b))"
    assert checked(judge, lazy, by_name).verdict is Verdict.PASS
    assert checked(judge, "x = 1", by_name).verdict is Verdict.FAIL
    assert (
        checked(judge, lazy, "assert gcd(4, 6) == 2\nassert gcd(9, 6) == 3").verdict is Verdict.FAIL
    )


def fenced(*codes: str) -> str:
    return "\nThen:\n".join(f"```python\n{code}\n```" for code in codes)


@pytest.mark.parametrize(
    "codes",
    [
        ("def double(x): return 2 * x", "def f(x): return double(x) + 1"),
        ("import math\nONE = 1", "def f(x): return math.prod([2, x]) + ONE"),
        ("def f(x): return 2 * x + 1", "def test_f():\n    assert f(1) == 3"),
        ("def f(x): return 2 * x + 1", "x = int(input())\nprint(f(x))"),
        ("def f(x): return 2 * x + 1\nprint(f(int(input())))",),
        ("def f(x): return 0", "def f(x): return 2 * x + 1", "import unittest\nunittest.main()"),
        ("def f(x): return 2 * x + 1", "f(1)  # gives 3, and f(2) gives:", "5 = f(2)"),
    ],
)
def test_a_function_over_several_blocks_is_one_program(judge, codes):
    tests = "assert f(1) == 3\nassert f(2) == 5"
    assert checked(judge, fenced(*codes), tests).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "codes",
    [
        ("def f(x): return x * x", "print(f(int(input())))"),
        ("import sys", "def f():\n    print(int(sys.stdin.read()) ** 2)", "f()"),
        ("def f(x): return x * x\nprint(f(int(input())))", "print(f(3))"),
        ("from math import *\nprint(int(pow(int(input()), 2)))", "import pip"),
        ("print(3)", "def f(x): return x * x\nprint(f(int(input())))"),
        ("print(1)", "print(int(input()) ** 2)"),
        ("print(int(input()) ** 2)", "4\n  5"),
    ],
)
def test_a_program_over_several_blocks_is_the_last_whole_one_or_all_of_them(judge, codes):
    assert checked(judge, fenced(*codes), PROGRAM).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("given", "expected", "same"),
    [
        ("1.5", "1.50", True),
        ("2", "2.00", True),
        ("a 1.5 b", "a 1.50 b", True),
        ("0.30000000000000004", "0.3", True),
        ("1.3333333333333333", "1.3333333333", True),
        ("0.33333333", "0.3333", True),
        ("1.333333", "1.3333333333", True),
        ("-0.0", "0.0", True),
        ("0.34", "0.3", False),
        ("3.14159", "3.14", False),
        ("123456.78", "123456.79", False),
        ("1.3333", "1.3333333333", False),
        ("0.33341", "0.3333", False),
        ("1.50", "1.5  2", False),
        ("1.5.0", "1.50", False),
        ("10", "10.5", False),
        ("02", "2", False),
        ("1 2 \r\n\n", "1 2\n", True),
    ],
)
def test_a_printed_decimal_may_have_other_digits_behind_it(given, expected, same):
    assert same_output(given, expected) is same


def test_the_note_is_the_evidence(judge):
    passed = checked(judge, "def f(x): return x + 1", "assert f(1) == 2")
    failed = checked(judge, "def f(x): return x - 1", "assert f(1) == 2")
    raised = checked(judge, "def f(x): return x[0]", "assert f(1) == 2")
    printed = checked(judge, "print(input() * 2)", PROGRAM)
    assert passed.note == "1 calls, every test held; the last: f(1) gave 2 (under 1 s)"
    assert failed.note == "line 1: assert f(1) == 2; the last call: f(1) gave 0 (under 1 s)"
    assert "raised TypeError: 'int' object is not subscriptable" in raised.note
    assert printed.note == "input 1 of 2, '2\\n': '22\\n' in place of '4\\n'"


def test_a_batch_is_checked_in_its_order_and_rows_without_tests_are_told_apart():
    rows = [
        ("def f(x): return x", "assert f(1) == 1\nassert f(2) == 2"),
        ("A: 5", None),
        ("def f(x): return 1", "assert f(1) == 1\nassert f(2) == 2"),
        ("def f(x): return x", "{}"),
    ]
    table = records_table(
        [new_record(prompt="?", text=text, reference={"tests": tests}) for text, tests in rows]
    )
    verdicts = [check.verdict for check in Code().check(Batch(table))]
    assert verdicts == ["pass", "not_applicable", "fail", "unverified"]


def test_the_least_memory_suffices_for_small_programs(sandbox):
    budget = Code(memory_mb=64).budget
    judge = CodeJudge(sandbox, [], budget)
    assert checked(judge, "print(int(input()) ** 2)", PROGRAM).verdict is Verdict.PASS
    assert checked(judge, "print(len(bytes(64 << 20)))", PROGRAM).verdict is Verdict.FAIL


def test_rows_without_tests_need_no_sandbox(monkeypatch):
    monkeypatch.setattr(Sandbox, "__enter__", None)
    assert Code().check(Batch.of_texts(["x"])) == [Check(Verdict.NOT_APPLICABLE, "no tests")]


def test_another_interpreter_runs_programs_in_the_same_sandbox():
    shell = Code(interpreter=("sh", "-c"))
    shell.preflight()
    rows = [
        ("```sh\nread x; echo $((x * x))\n```", PROGRAM),
        ("read x; echo 4", PROGRAM),
        ("read x; echo $((x * x)); cat /etc/passwd", PROGRAM),
        ("read x; while :; do :; done &\necho $((x * x))", PROGRAM),
        ("read x; echo $((x * x)) > /tmp/synth-shell; cat /tmp/synth-shell", PROGRAM),
        ("f", {"fn_name": "f", "inputs": [[1]], "outputs": [1]}),
    ]
    table = records_table(
        [
            new_record(prompt="?", text=text, reference={"tests": json.dumps(tests)})
            for text, tests in rows
        ]
    )
    checks = shell.check(Batch(table))
    assert [check.verdict for check in checks] == ["pass", *["fail"] * 4, "unverified"]


def test_an_interpreter_that_is_not_there_is_refused_before_the_run():
    with pytest.raises(RefusedError, match="no interpreter 'cobol-9000' on the PATH"):
        Code(interpreter=("cobol-9000",)).preflight()
    with pytest.raises(RefusedError, match="does not run in the sandbox"):
        Code(interpreter=("false",)).preflight()
