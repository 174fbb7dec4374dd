"""Incremental runs: each one reads what is new, and the release only grows, or goes back."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import flows.increments
from flows import api, run_command
from flows.cli import main
from flows.increments import run_increments
from flows.recipe_file import load_recipe
from synth.engine.plan import Plan
from synth.engine.progress import Progress
from synth.engine.run import open_runner, read_seeds, run_stages
from synth.engine.runner import Runner
from synth.errors import ExitCode, RefusedError
from synth.store.manifest import Manifest, load_manifest
from tests.fake_teacher import served
from tests.flows.test_run_folders import flip
from tests.hub_stand_in import HubStandIn, hub_stand_in

PLAIN = """\
name: nightly
incremental: true
shard_rows: 2
stages:
  - read: {prompts: in.jsonl}
  - dedup: {exact: {}}
  - write: {}
"""
ASKING = """\
name: nightly
incremental: true
shard_rows: 2
teacher: {url: URL}
stages:
  - read: {prompts: in.jsonl}
  - distill: {}
  - dedup: {exact: {}, on: prompt}
  - write: {}
"""
FIRST = ("How far is the moon?", "How old is the sun?", "How deep is the sea?")
MORE = ("How high is the sky?", "How big is an atom?")


def give(*prompts: str, file: str = "in.jsonl") -> None:
    """Writes the input."""
    Path(file).write_text("".join(json.dumps({"prompt": one}) + "\n" for one in prompts))


def released(root: str | Path = "outputs/nightly") -> list[str]:
    """The prompts of the release, in the manifest's order."""
    return [str(row["prompt"][-1]["content"]) for row in api.Run(root).rows()]


def data(root: str | Path = "outputs/nightly") -> dict[str, bytes]:
    """The tables of the release, by their paths in it."""
    release = Path(root) / "release"
    return {str(p.relative_to(release)): p.read_bytes() for p in release.glob("*/*")}


def increments() -> list[str]:
    """The folders of the increments."""
    return sorted(path.name for path in Path("outputs/nightly/increments").iterdir())


def whole(root: Path) -> dict[str, bytes]:
    """Every file of the release."""
    files = [path for path in sorted((root / "release").rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`synth run nightly.yaml` without Prefect, in a folder with the recipe and its input."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nightly.yaml").write_text(PLAIN)
    give(*FIRST)
    monkeypatch.setattr(
        run_command,
        "_run_flow",
        lambda arguments, folder, _copy, _progress: api.run(
            arguments.recipe, out=folder, overrides=arguments.set, limit=arguments.limit
        ),
    )
    return lambda *arguments: main(["run", "nightly.yaml", *arguments])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubStandIn]:
    """A stand-in for the Hub."""
    from huggingface_hub import constants

    with hub_stand_in() as hub:
        hub.token = "hf_test"
        monkeypatch.setenv("HF_TOKEN", hub.token)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-login"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield hub


@pytest.fixture
def asking(nightly: Callable[..., int], teacher_url: str) -> Callable[..., int]:
    """The same with a teacher."""
    Path("nightly.yaml").write_text(ASKING.replace("URL", teacher_url))
    return nightly


def test_a_grown_input_adds_rows_and_leaves_the_data_files(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly() == ExitCode.OK
    first = data()
    assert released() == list(FIRST)
    give(MORE[0], *FIRST, MORE[1])
    assert nightly() == ExitCode.OK
    assert released() == [*FIRST, *MORE]
    assert {name: data()[name] for name in first} == first
    assert len(data()) == 4
    captured = capsys.readouterr()
    assert "increment 2: 2 rows of the input that no earlier increment has read" in captured.err
    assert "release 2 has 5 rows, 2 of them new: outputs/nightly/release" in captured.err
    assert "dataset: outputs/nightly/release" in captured.out


def test_rows_that_arrive_while_the_input_is_read_are_new_and_the_run_still_ends(
    nightly: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, coming = list(FIRST), [f"What is {n} plus 1?" for n in range(9)]

    async def then_one_arrives(runner: Runner) -> Manifest:
        read = await read_seeds(runner)
        if coming:
            arrived.append(coming.pop())
            give(*arrived)
        return read

    monkeypatch.setattr(flows.increments, "read_seeds", then_one_arrives)
    assert nightly() == ExitCode.OK
    assert increments() == ["0001", "0002"]
    assert released() != arrived
    coming.clear()
    assert nightly() == ExitCode.OK
    assert released() == arrived


def test_the_release_has_a_number_a_parent_and_its_increments(nightly: Callable[..., int]) -> None:
    nightly()
    parent = Path("outputs/nightly/release/manifest.json").read_bytes()
    give(*FIRST, *MORE)
    nightly()
    manifest = load_manifest(Path("outputs/nightly/release/manifest.json"))
    assert manifest is not None
    assert manifest.number == 2
    assert [(one.number, one.seeds, one.rows) for one in manifest.increments] == [
        (1, 3, 3),
        (2, 2, 2),
    ]
    assert manifest.parent == sha256(parent).hexdigest()
    card = Path("outputs/nightly/release/README.md").read_text()
    assert "| read | 5 | 0 | 5 | 0 |" in card
    assert "5 rows in the `prompt` format" in card
    assert "| 2 | 2 | 2 |  |" in card
    assert card.index("## Increments") < card.index("## Recipe") < card.index("## Citation")


def test_datasets_loads_all_increments(nightly: Callable[..., int], tmp_path: Path) -> None:
    import datasets

    nightly()
    give(*FIRST, *MORE)
    nightly()
    found = datasets.load_dataset(
        "outputs/nightly/release", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert sorted(row[0]["content"] for row in found["prompt"]) == sorted([*FIRST, *MORE])
    provenance = datasets.load_dataset(
        "outputs/nightly/release",
        "provenance",
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert provenance["id"] == found["id"]


def test_a_sorted_or_renamed_input_has_nothing_new(
    nightly: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nightly()
    before = whole(Path("outputs/nightly"))
    monkeypatch.setattr(run_command, "_run_flow", lambda *_: pytest.fail("Prefect is started"))
    assert nightly() == ExitCode.OK
    give(*sorted(FIRST))
    assert nightly() == ExitCode.OK
    Path("in.jsonl").rename("other.jsonl")
    assert nightly("--set", "stages.read.prompts=other.jsonl") == ExitCode.OK
    nothing = "the input has no new rows for outputs/nightly; nothing to do"
    assert capsys.readouterr().err.count(nothing) == 3
    assert whole(Path("outputs/nightly")) == before
    assert increments() == ["0001"]


def test_an_edited_row_alone_is_asked(nightly: Callable[..., int]) -> None:
    with served() as teacher:
        Path("nightly.yaml").write_text(ASKING.replace("URL", teacher.url))
        nightly()
        assert len(teacher.asked) == len(FIRST)
        give(*FIRST[:2], "How deep is the lake?")
        nightly()
        assert teacher.asked[len(FIRST) :] == ["How deep is the lake?"]


def test_a_changed_gold_answer_is_no_new_row(nightly: Callable[..., int]) -> None:
    nightly()
    lines = [json.dumps({"prompt": one, "answer": "42"}) + "\n" for one in FIRST]
    Path("in.jsonl").write_text("".join(lines))
    nightly()
    assert increments() == ["0001"]


def test_a_duplicate_of_a_released_row_is_rejected(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    nightly()
    give(*FIRST, "how far is  THE moon?", MORE[0])
    nightly()
    assert released() == [*FIRST, MORE[0]]
    give(*FIRST, "how far is  THE moon?", MORE[0], "HOW old is the sun?")
    capsys.readouterr()
    assert nightly() == ExitCode.OK
    assert (
        "WARNING: increment 3 adds nothing: no row is left after dedup" in capsys.readouterr().err
    )
    assert released() == [*FIRST, MORE[0]]
    nightly()
    assert increments() == ["0001", "0002", "0003"]
    rejected = pq.read_table("outputs/nightly/increments/0002/01-dedup/rejected").to_pylist()
    assert [row["reason"] for row in rejected] == ["duplicate_exact"]
    assert "of an earlier run" in rejected[0]["scores"][-1]["note"]
    assert main(["show", "outputs/nightly", "--rejected"]) == ExitCode.OK
    assert "rejected by exact: duplicate_exact" in capsys.readouterr().out


def test_another_copy_of_a_row_is_a_new_row(nightly: Callable[..., int]) -> None:
    Path("nightly.yaml").write_text(PLAIN.replace("  - dedup: {exact: {}}\n", ""))
    nightly()
    give(*FIRST, FIRST[0])
    nightly()
    assert released() == [*FIRST, FIRST[0]]


def test_a_run_that_keeps_no_row_ends_its_seeds(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    strict = PLAIN.replace("dedup: {exact: {}}", "quality: [length: {min_words: 9}]")
    Path("nightly.yaml").write_text(strict)
    assert nightly() == ExitCode.EMPTY
    assert not Path("outputs/nightly/release").exists()
    assert "quality" in capsys.readouterr().out
    Path("nightly.yaml").write_text(PLAIN)
    give(*FIRST, *MORE)
    assert nightly() == ExitCode.OK
    assert released() == list(MORE)


def test_the_limit_is_for_new_rows(nightly: Callable[..., int]) -> None:
    for expected in (FIRST[:2], FIRST, FIRST):
        assert nightly("--limit", "2") == ExitCode.OK
        assert released() == list(expected)


def test_a_changed_recipe_holds_from_the_next_increment(nightly: Callable[..., int]) -> None:
    nightly()
    first = data()
    Path("nightly.yaml").write_text(
        PLAIN.replace("{exact: {}}", "{exact: {}, fuzzy: {ratio: 90}}").replace(
            "  - write", "  - quality: [length: {min_words: 1}]\n  - write"
        )
    )
    nightly()
    assert data() == first
    give(*FIRST, "How far is the moon??", *MORE)
    nightly()
    assert released() == [*FIRST, *MORE]
    assert data().items() >= first.items()
    card = Path("outputs/nightly/release/README.md").read_text()
    assert "| 2 | 3 | 2 | `dedup.fuzzy unset → " in card
    assert "`quality is new` |" in card
    assert "| dedup | 6 | 0 | 5 | 1 |\n| quality | 2 | 0 | 2 | 0 |\n| write | 5 |" in card


def test_rollback_and_again(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with served() as teacher:
        Path("nightly.yaml").write_text(ASKING.replace("URL", teacher.url))
        nightly()
        one = whole(Path("outputs/nightly"))
        give(*FIRST, MORE[0])
        nightly()
        two = whole(Path("outputs/nightly"))
        assert main(["rollback", "outputs/nightly"]) == ExitCode.OK
        assert whole(Path("outputs/nightly")) == one
        out = capsys.readouterr().out
        assert "The next run reads the rows of withdrawn increments (2) again" in out
        assert main(["rollback", "outputs/nightly", "--to", "2"]) == ExitCode.OK
        assert whole(Path("outputs/nightly")) == two
        main(["rollback", "outputs/nightly", "--to", "1"])
        asked = len(teacher.asked)
        give(*FIRST, *MORE)
        assert nightly() == ExitCode.OK
        assert teacher.asked[asked:] == [MORE[1]]
    manifest = load_manifest(Path("outputs/nightly/release/manifest.json"))
    assert manifest is not None
    assert [one.number for one in manifest.increments] == [1, 3]
    assert manifest.rows_kept == 5
    main(["show", "outputs/nightly"])
    out = capsys.readouterr().out
    assert "withdrawn" in out
    assert main(["show", "outputs/nightly", "--check"]) == ExitCode.OK
    assert main(["rollback", "outputs/nightly", "--to", "9"]) == ExitCode.INVALID
    assert "no release 9; known: 1, 2, 3" in capsys.readouterr().err


def test_a_lost_release_is_made_again_byte_for_byte(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    nightly()
    give(*FIRST, *MORE)
    nightly()
    before = whole(Path("outputs/nightly"))
    shutil.rmtree("outputs/nightly/release")
    assert nightly() == ExitCode.OK
    assert whole(Path("outputs/nightly")) == before
    shutil.rmtree("outputs/nightly/release")
    shutil.rmtree("outputs/nightly/increments/0001/release")
    Path("in.jsonl").unlink()
    assert main(["rollback", "outputs/nightly", "--to", "2"]) == ExitCode.OK
    assert whole(Path("outputs/nightly")) == before


def test_a_damaged_data_file_is_named_and_made_again(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    nightly()
    before = whole(Path("outputs/nightly"))
    [path] = Path("outputs/nightly/release/data").iterdir()
    flip(path)
    capsys.readouterr()
    assert main(["show", "outputs/nightly", "--check"]) == ExitCode.INFRASTRUCTURE
    assert f"{path} is damaged" in capsys.readouterr().out
    assert nightly() == ExitCode.OK
    assert f"increment 1: data/{path.name} is lost or damaged" in capsys.readouterr().err
    assert whole(Path("outputs/nightly")) == before
    assert main(["show", "outputs/nightly", "--check"]) == ExitCode.OK


def test_what_cannot_be_made_again_is_a_fault(
    asking: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    asking()
    [path] = Path("outputs/nightly/release/data").iterdir()
    flip(path)
    flip(Path("outputs/nightly/increments/0001/01-distill/kept/00000.parquet"))
    assert asking() == ExitCode.INFRASTRUCTURE
    err = capsys.readouterr().err
    assert "outputs/nightly/increments/0001 --check` names them" in err


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_or_damaged_state_is_chosen_by_the_user(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str], lost: bool
) -> None:
    nightly()
    give(*FIRST, *MORE)
    nightly()
    before = whole(Path("outputs/nightly"))
    state = Path("outputs/nightly/releases/state.json")
    state.unlink() if lost else flip(state)
    assert nightly() == ExitCode.INFRASTRUCTURE
    assert "synth rollback outputs/nightly --to N" in capsys.readouterr().err
    assert main(["rollback", "outputs/nightly", "--to", "2"]) == ExitCode.OK
    assert whole(Path("outputs/nightly")) == before


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_damaged_seeds_are_read_again_from_the_input_as_they_were(
    asking: Callable[..., int],
) -> None:
    """The first stage's shard is damaged before the increment ends, and the input has grown."""
    asking()
    give(*FIRST, *MORE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.increments.add_increment", killed)
        with pytest.raises(KeyboardInterrupt):
            api.run("nightly.yaml")
    flip(Path("outputs/nightly/increments/0002/00-read/kept/00000.parquet"))
    give(*FIRST, "How long is a day?", *MORE)
    assert asking() == ExitCode.OK
    manifest = load_manifest(Path("outputs/nightly/release/manifest.json"))
    assert manifest is not None
    assert [one.seeds for one in manifest.increments] == [3, 2, 1]


def test_trace_and_show_find_rows_of_all_increments(
    asking: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    asking()
    give(*FIRST, *MORE)
    asking()
    for row in api.Run("outputs/nightly").rows():
        capsys.readouterr()
        assert main(["trace", row["id"]]) == ExitCode.OK
        out = capsys.readouterr().out
        assert row["messages"][0]["content"] in out
        assert "reply:" in out
    assert main(["trace", row["id"], "--run", "outputs/nightly"]) == ExitCode.OK
    assert "increments/0002/" in capsys.readouterr().out
    assert main(["show", "outputs/nightly"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "increment 2" in out
    assert ["2", "5", "2", "2", "current"] in [line.split() for line in out.splitlines()]
    assert [entry["stage"] for entry in api.Run("outputs/nightly").funnel[:2]] == [
        "0001/00-read",
        "0001/01-distill",
    ]


def test_a_push_uploads_only_new_data_files(
    nightly: Callable[..., int], hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("nightly.yaml").write_text(PLAIN + "  - push: {repo: me/nightly}\n")
    nightly()
    first = set(data())
    give(*FIRST, *MORE)
    seen = len(hub.calls("PUT /storage"))
    nightly()
    new = {path for path in data() if path not in first}
    assert {path.partition("/")[0] for path in new} == {"data", "provenance"}
    assert len(hub.calls("PUT /storage")) == seen + len(new)
    files = hub.repos["me/nightly"].at().files
    assert {path for path in files if path.endswith(".parquet")} == first | new
    assert "croissant.json" in files
    assert len(hub.repos["me/nightly"].tags) == 2
    commits = len(hub.repos["me/nightly"].log())
    monkeypatch.setattr(run_command, "_run_flow", lambda *_: pytest.fail("nothing is to do"))
    nightly()
    assert len(hub.repos["me/nightly"].log()) == commits


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (PLAIN.replace("write: {}", "write: {target_rows: 5}"), "releases all new rows"),
        (PLAIN.replace("{exact: {}}", "{exact: {}, index: i}"), "remove `dedup: {index}`"),
        (PLAIN.replace("  - write: {}\n", ""), "end the stages with `write`"),
        (PLAIN + "  - push: {repo: me/n, tag: v1}\n", "the tag 'v1' marks one release"),
    ],
)
def test_recipes_that_cannot_be_incremental_are_refused(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str], recipe: str, words: str
) -> None:
    Path("nightly.yaml").write_text(recipe)
    assert nightly() == ExitCode.INVALID
    assert words in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_folders_and_formats_do_not_mix(
    asking: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    asking()
    incremental = Path("nightly.yaml").read_text()
    Path("nightly.yaml").write_text(
        incremental.replace("write: {}", "write: {format: prompt_completion}")
    )
    give(*FIRST, *MORE)
    assert asking() == ExitCode.INVALID
    assert "has the format `messages`" in capsys.readouterr().err
    Path("nightly.yaml").write_text(incremental.replace("incremental: true\n", ""))
    assert asking() == ExitCode.INVALID
    assert "belongs to an incremental run" in capsys.readouterr().err
    assert asking("--out", "other") == ExitCode.OK
    Path("nightly.yaml").write_text(incremental)
    assert asking("--out", "other") == ExitCode.INVALID
    assert "holds an ordinary run" in capsys.readouterr().err


def test_from_and_fresh(asking: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    asking()
    assert asking("--from", "distill") == ExitCode.INVALID
    assert "no unfinished increment" in capsys.readouterr().err
    assert asking("--fresh", "--yes") == ExitCode.OK
    assert increments() == ["0001"]
    assert "from the journal" not in capsys.readouterr().err


def test_the_budget_counts_all_increments(
    asking: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    budget = "budget.tokens=20000"
    assert asking("--set", budget) == ExitCode.OK
    used = json.loads(Path("outputs/nightly/budget.json").read_text())
    one = used["tokens_in"] + used["tokens_out"]
    assert one
    give(*FIRST, *MORE)
    assert asking("--set", f"budget.tokens={one}") == ExitCode.BUDGET
    assert f"{one:,} of {one:,} are used" in capsys.readouterr().err
    assert asking("--set", budget) == ExitCode.OK
    assert "increment 2 is unfinished" in capsys.readouterr().err
    used = json.loads(Path("outputs/nightly/budget.json").read_text())
    assert used["tokens_in"] + used["tokens_out"] > one
    assert not list(Path("outputs/nightly/increments").rglob("budget.json"))


def test_a_plan_projects_new_rows_and_its_replies_are_reused(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    many = [f"How far is star {number}?" for number in range(12)]
    with served() as teacher:
        Path("nightly.yaml").write_text(ASKING.replace("URL", teacher.url))
        nightly()
        give(*FIRST, *many)
        assert main(["plan", "nightly.yaml", "--rows", "10"]) == ExitCode.OK
        captured = capsys.readouterr()
        assert "nightly: 12 rows to run, projected from a sample of 10" in captured.out
        assert nightly() == ExitCode.OK
        assert sorted(teacher.asked) == sorted([*FIRST, *many])
    assert main(["plan", "nightly.yaml", "--rows", "10"]) == ExitCode.INVALID
    assert "no new rows in" in capsys.readouterr().err


def test_each_split_keeps_its_rows(nightly: Callable[..., int], tmp_path: Path) -> None:
    import datasets

    Path("nightly.yaml").write_text(PLAIN.replace("write: {}", "write: {test_share: 0.5}"))
    nightly()
    before = data()
    give(*FIRST, *MORE, *(f"How far is star {number}?" for number in range(8)))
    nightly()
    assert data().items() >= before.items()
    found = {
        config: datasets.load_dataset(
            "outputs/nightly/release", config, cache_dir=str(tmp_path / "cache")
        )
        for config in ("default", "provenance")
    }
    assert {len(path.split("/")) for path in data()} == {2}
    assert {path.split("-")[0] for path in data()} == {
        f"{folder}/{split}" for folder in ("data", "provenance") for split in ("train", "test")
    }
    for split in ("train", "test"):
        assert found["default"][split]["id"] == found["provenance"][split]["id"]
    assert sum(map(len, found["default"].values())) == 13
    listed = json.loads(Path("outputs/nightly/release/croissant.json").read_text())
    files = {one["@id"] for one in listed["distribution"] if one["@type"] == "cr:FileObject"}
    assert files == set(data())


def answers(*rows: tuple[str, str | None]) -> None:
    """Writes the input: a prompt, its answer, and the worse answer if there is one."""
    lines = [
        {"prompt": one, "completion": f"Yes: {one}", **({"rejected": worse} if worse else {})}
        for one, worse in rows
    ]
    Path("in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_each_increment_adds_to_every_format_that_its_rows_fit(
    nightly: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import datasets

    both = PLAIN.replace("prompts", "answers").replace(
        "write: {}", "write: {format: [messages, preference]}"
    )
    Path("nightly.yaml").write_text(both)
    root, release = Path("outputs/nightly"), Path("outputs/nightly/release")

    def load(config: str) -> list[str]:
        found = datasets.load_dataset(
            str(release), config, split="train", cache_dir=str(tmp_path / "cache")
        )
        assert json.loads((release / "croissant.json").read_text())
        return list(found["id"])

    def configs() -> list[str]:
        described = json.loads((release / "croissant.json").read_text())
        files = {o["@id"] for o in described["distribution"] if o["@type"] == "cr:FileObject"}
        assert files == set(data())
        return [one["name"] for one in described["recordSet"]]

    alone: list[tuple[str, str | None]] = [(one, None) for one in FIRST]
    answers(*alone)
    assert nightly() == ExitCode.OK
    said = capsys.readouterr().err
    assert "no released row fits the format `preference` (no_rejected_answer 3)" in said
    assert configs() == ["messages", "provenance"]
    one = whole(root)

    pairs: list[tuple[str, str | None]] = [(MORE[0], "No."), (MORE[1], None), ("Why?", "So.")]
    answers(*alone, *pairs)
    assert nightly() == ExitCode.OK
    assert configs() == ["messages", "preference", "provenance"]
    assert load("messages") == load("provenance")
    assert len(load("messages")) == 6
    assert len(load("preference")) == 2
    assert set(load("preference")) < set(load("messages"))
    card = (release / "README.md").read_text()
    assert "The config `preference` has the 2 of them that fit this format." in card
    two = whole(root)
    assert {name: two[name] for name in one if name.endswith("parquet")}.items() <= one.items()

    answers(*alone, *pairs, ("How so?", None))
    assert nightly() == ExitCode.OK
    assert len(load("messages")) == 7
    before = {name: two[name] for name in two if "/preference/" in name}
    assert {name: file for name, file in whole(root).items() if "/preference/" in name} == before

    for number, expected in ((1, one), (2, two)):
        assert main(["rollback", str(root), "--to", str(number)]) == ExitCode.OK
        assert whole(root) == expected
    assert len(load("preference")) == 2
    [pair] = [path for path in two if "/preference/" in path]
    flip(root / pair)
    assert main(["show", str(root), "--check"]) == ExitCode.INFRASTRUCTURE
    assert nightly() == ExitCode.OK  # it writes the file again, and increment 3
    assert (root / pair).read_bytes() == two[pair]
    assert main(["show", str(root), "--check"]) == ExitCode.OK

    Path("nightly.yaml").write_text(both.replace(", preference", ""))
    assert nightly() == ExitCode.INVALID
    assert "set `write: {format: [messages, preference]}`" in capsys.readouterr().err


def test_rows_without_a_column_of_the_release_have_nulls(
    nightly: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import datasets

    def row(prompt: str, **more: str) -> str:
        return json.dumps({"prompt": prompt, **more}) + "\n"

    lines = row("What is 6 * 7?", answer="42")
    Path("in.jsonl").write_text(lines)
    nightly()
    Path("in.jsonl").write_text(lines + row(MORE[0]))
    assert nightly() == ExitCode.OK
    found = datasets.load_dataset(
        "outputs/nightly/release", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert sorted(map(str, found["solution"])) == ["42", "None"]
    give(*FIRST)
    assert nightly("--out", "other") == ExitCode.OK
    Path("in.jsonl").write_text(lines)
    assert nightly("--out", "other") == ExitCode.INVALID
    assert "an incremental run keeps its columns" in capsys.readouterr().err


def test_the_report_is_that_of_the_newest_increment(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    nightly()
    give(*FIRST, *MORE)
    nightly()
    page = "outputs/nightly/increments/0002/report.html"
    assert f"report of increment 2: {page}" in capsys.readouterr().out
    Path(page).unlink()
    assert main(["report", "outputs/nightly"]) == ExitCode.OK
    assert f"report:  {page}" in capsys.readouterr().out
    assert Path(page).is_file()
    assert main(["show", "outputs/nightly", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["released"] == 2


def test_the_example_of_the_docs_lists_the_figures_of_each_increment(
    nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    nightly()
    give(*FIRST, *MORE)
    nightly()
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
    [example] = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    capsys.readouterr()
    exec(example, {})
    assert capsys.readouterr().out.splitlines() == [
        "outputs/nightly/increments/0001 3 0.0",
        "outputs/nightly/increments/0002 2 0.0",
    ]


@pytest.mark.parametrize("answer", [True, False])
def test_a_push_is_approved_where_nobody_watches(
    nightly: Callable[..., int], hub: HubStandIn, answer: bool
) -> None:
    Path("nightly.yaml").write_text(PLAIN + "  - push: {repo: me/nightly, approve: true}\n")
    asked = []

    async def work(plan: Plan, run: Path) -> list[Manifest]:
        async with open_runner(plan, run) as runner:
            return await run_stages(runner)

    async def ask(question: str) -> bool:
        asked.append(question)
        return answer

    plan, root = load_recipe("nightly.yaml"), Path("outputs/nightly")
    made = run_increments(plan, root, Progress(), work, ask)
    if answer:
        assert asyncio.run(made) == 1
    else:
        with pytest.raises(RefusedError, match="nobody approved the push"):
            asyncio.run(made)
    assert "me/nightly" in asked[0]
    assert ("me/nightly" in hub.repos) is answer
