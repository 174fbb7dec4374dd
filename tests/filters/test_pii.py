"""`pii`: what is found by form, checksum and announcing words, and what only looks like it."""

from __future__ import annotations

from collections import Counter

import pytest

from filters.pii.find import find
from filters.pii.kinds import PiiKind
from filters.quality.pii import Pii
from synth.batch import Batch
from tests.filters.rows import reason
from tests.limits import cpu_within

FOUND = {
    PiiKind.EMAIL: [
        "write to <jane.doe+news@mail.example.org>, please",
        "mailto:J\u00fcrgen@b\u00fccher.de",
        "(a_b-c@x-y.co.uk)",
    ],
    PiiKind.PHONE: [
        "+44 20 7946 0958",
        "+41 (0)96 471 07 95",
        "0041964710795",
        "(602)272-9781",
        "602-272-9781x123",
        "1-800-662-HELP",
        "0345 854 7777",
        "03.93.92.16.85",
        "Call me on 9472 7916?",
        "Fax: 9498777106",
        "you can reach me at 555 0123 today",
        "416 60 039 office",
        "tel. (01632) 960032",
        "Emergency contact: Jan, 0532728414",
        "call (+358) 399904367",
        "phone 555\u2011123\u20114567",
    ],
    PiiKind.CARD: [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "3782 822463 10005",
        "my card 30569309025904",
        "card no 501864667909",
    ],
    PiiKind.IBAN: [
        "GB82WEST12345698765432",
        "DE89 3704 0044 0532 0130 00.",
        "gb82west12345698765432",
    ],
    PiiKind.ID_NUMBER: [
        "853-37-1694",
        "My driver's license number is U62928788557186",
        "passport no. X1234567",
        "SSN: 853 37 1694",
    ],
    PiiKind.IP_ADDRESS: [
        "from 41.173.96.26:8080",
        "client_ip = 41.73.96.26",
        "http://41.73.96.26/",
        "2001:4860:4860::8888",
        "8c60:85e:159f:2afd:776b:86e:3974:4fb2.",
    ],
    PiiKind.SECRET: [
        "AKIAIOSFODNN7EXAMPLE",
        "token ghp_" + "a1B2" * 9,
        "sk-proj-" + "aB3d" * 8,
        "hf_" + "aBcD" * 8 + "ef",
        "xoxb-123456789012-abcdefABCDEF",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
        "postgres://admin:s3cr3tPw@db.host/x",
        'password = "hunter2hunter2x9Q"',
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzKEY",
    ],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts]
)
def test_each_form_is_found_once(kind, text):
    assert [span.kind for span in find(text)] == [kind]
    expected = "secret_found" if kind is PiiKind.SECRET else "pii_found"
    assert reason(Pii(), f"Hello. {text}") == expected
    others = [other for other in PiiKind if other is not kind]
    assert all(span.kind is not kind for span in find(text, others))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a @ b, user@host, @handle, x@y.",
        "4111111111111112",  # no check digit
        "6.666666666666667+1.666666666666667",
        "1234567890123456",
        "GB82WEST12345698765433",
        "XX82WEST12345698765432",
        "000-12-3456, 900-12-3456, 123-00-4567",
        "version 12.34.56.78, section 14.10.22.7, 207.5.2.1",
        "pip install torch==2.11.10.15 numpy>=12.31.144.10, LibreOffice/126.8.0.33",
        '"version": "112.31.44.10", __version__ = \'12.31.144.10\', upgrade to 112.31.44.10',
        '"build": {"12.31.44.10"}',
        "127.0.0.1, 192.168.100.100, 300.100.100.100",
        "std::vector<int> a::b, 12:30:45, fe80::1, fd12:3456:789a:1:1:1:1:1, 2001:db8::1",
        "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        "Between 1000-2000 ids: 1234567890123456789",
        "0020-01-01, 0010 0000, x**2+1585743, 1e+10, +1.79769313",
        "git clone git@github.com:owner/name.git, mysql://user:password@host/db",
        "2024-01-01 to 2025-10-10, 6/24/1991, 01.02.2023",
        "between 1990-1995 we called 100 people",
        "$1,000,000 or 1 000 000 or 1.000.000",
        "ISBN 978-3-16-148410-0, order 9498777106, 123e4567-e89b-12d3-a456-426614174000",
        "she needs to work 2000/1000 and 6000-3000 hours",
        "password = os.environ['PASSWORD']; token = get_token(request)",
        "api_key = 'your-api-key-0123', password: correcthorsebattery",
        "sk-learn, hf_hub_download, the key: 1984, sk-circle-wrapper-of-the-loading-spinner-2",
        "y = w@x.mean(axis=1)",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert find(text) == []
    assert reason(Pii(), text) is None


def test_a_finding_is_the_data_and_no_more():
    text = "Ann (ann@mail.org, 602-272-9781 x12) pays DE89370400440532013000 with 4111111111111111."
    assert [text[span.start : span.end] for span in find(text)] == [
        "ann@mail.org",
        "602-272-9781 x12",
        "DE89370400440532013000",
        "4111111111111111",
    ]


def test_findings_that_overlap_are_one_so_that_none_of_it_is_left():
    text = "https://api.host/?token=ann.b2c3d4e5@mail.org"
    [span] = find(text)
    assert text[span.start : span.end] == "ann.b2c3d4e5@mail.org"


def test_of_two_phone_numbers_the_words_announce_both():
    text = "Call 555 0123 or 555 0124, in 1990, 2000 and 1234567 cases."
    assert [text[span.start : span.end] for span in find(text)] == ["555 0123", "555 0124"]


def test_score_and_note_count_the_findings_and_never_tell_them():
    texts = ["a@b.org and c@d.org", "Plants need light."]
    verdicts = Pii(max_found=1).judge(Batch.of_texts(texts))
    assert (verdicts.reasons, verdicts.scores) == (["pii_found", None], [2.0, 0.0])
    assert list(verdicts.notes) == ["email 2", ""]
    assert Pii(max_found=2).judge(Batch.of_texts(texts)).reasons == [None, None]


def test_only_the_kinds_asked_for_are_judged():
    assert reason(Pii(kinds=[PiiKind.SECRET]), "ann@mail.org") is None


@pytest.mark.parametrize(
    "unit", ["12-", "(1", "1 1", "a@b.", "://a:b@", "DE12 ", "password=", "2:", "sk-", "+1 "]
)
def test_texts_made_against_the_patterns_take_linear_time(unit):
    with cpu_within(1):
        find(unit * (200_000 // len(unit)))


def test_open_private_keys_are_bounded():
    with cpu_within(1):
        find("-----BEGIN PRIVATE KEY----- " * 10_000)
        find("-----BEGIN PRIVATE KEY-----" + "x" * 1_000_000)


@pytest.mark.gold
def test_precision_and_recall_on_labelled_spans(gold):
    named = {
        "CREDIT_CARD": PiiKind.CARD,
        "PHONE_NUMBER": PiiKind.PHONE,
        "EMAIL_ADDRESS": PiiKind.EMAIL,
        "IBAN_CODE": PiiKind.IBAN,
        "US_SSN": PiiKind.ID_NUMBER,
        "US_DRIVER_LICENSE": PiiKind.ID_NUMBER,
        "IP_ADDRESS": PiiKind.IP_ADDRESS,
    }
    counts: Counter[str] = Counter()
    for row in gold("pii_spans.jsonl"):
        labelled = {
            (named[span["entity_type"]], span["start_position"], span["end_position"])
            for span in row["spans"]
            if span["entity_type"] in named
        }
        found = {tuple(span) for span in find(row["full_text"])}
        counts.update(hit=len(found & labelled), missed=len(labelled - found))
        counts.update(wrong=len(found - labelled))
    precision = counts["hit"] / (counts["hit"] + counts["wrong"])
    recall = counts["hit"] / (counts["hit"] + counts["missed"])
    print(f"precision {precision:.3f}, recall {recall:.3f}")
    assert precision >= 0.97
    assert recall >= 0.97


@pytest.mark.gold
def test_what_others_reported_is_right(gold):
    cases = [(row["text"], row["right"] == "drop") for row in gold("cases/pii.jsonl")]
    assert [text for text, drop in cases if bool(find(text)) is not drop] == []


@pytest.mark.gold
def test_no_false_alarm_where_there_is_only_maths_and_code(gold):
    texts = [row["solution"] for row in gold("gsm8k_model_solutions.jsonl")]
    texts += [row["question"] for row in gold("gsm8k_test.jsonl")]
    texts += [row["canonical_solution"] + row["test"] for row in gold("humaneval.jsonl")]
    assert not any(Pii().judge(Batch.of_texts(texts)).reasons)
