"""What a push promises, over real sockets, against a stand-in of the Hub."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from filters.pii.kinds import PiiKind
from filters.pii.push import Push, publish_release
from filters.pii.scan import scan
from synth.errors import InfrastructureFault, InputError, RefusedError, StoreFault
from synth.release.hub import Difference
from synth.release.pull import pull_release
from synth.release.push import push_release
from synth.store.durable import sha256_file
from synth.store.manifest import Manifest, ShardFile, load_manifest, save
from synth.store.shards import read_shard
from tests.hub_stand_in import HubStandIn, Repo, hub_stand_in
from tests.synth.release import made

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the client's
TOKEN, REPO = "hf_planted0secret0token", "org/maths"
PUSH = Push(repo=REPO)
CARD = "---\ntags: [math]\nconfigs:\n- config_name: default\n  data_files: data/train-*\n---\n# M\n"
TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema([("id", pa.string()), ("messages", TURNS), ("score", pa.float64())])
ROWS = [
    {"id": f"r{row}", "messages": [{"role": "user", "content": f"{row} * 7?"}], "score": score}
    for row, score in enumerate([0.5, None, 1.0, 2.5])
]


def make(folder: Path, *, shards: int = 2) -> Path:
    """A release of four rows, as `write` leaves it, and a stray file beside it."""
    (folder / "data").mkdir(parents=True)
    (folder / ".env").write_text(f"HF_TOKEN={TOKEN}")
    (folder / "README.md").write_text(CARD)
    paths = [f"data/train-{shard:05}-of-{shards:05}.parquet" for shard in range(shards)]
    for shard, path in enumerate(paths):
        rows = ROWS[shard * len(ROWS) // shards : (shard + 1) * len(ROWS) // shards]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / path)
    files = [
        ShardFile(path=path, rows=0, bytes=file.stat().st_size, sha256=sha256_file(file))
        for path in [*paths, "README.md"]
        if (file := folder / path)
    ]
    said = {"stage": "write", "index": 5, "fingerprint": "f", "settings": {}, "kind": "answers"}
    said |= {"code": "0.1.0", "seed": 7, "shards": [], "teacher": {"model": "Qwen3-8B"}}
    said["files"] = files
    save(Manifest.model_validate(said), folder / "manifest.json")
    return folder


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return make(tmp_path / "release")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubStandIn]:
    """A stand-in that this process's client talks to; the client reads its environment once."""
    from huggingface_hub import constants

    with hub_stand_in() as hub:
        hub.token = TOKEN
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-login"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("synth.release.hub.WAITS_S", (0.01,) * 3)
        yield hub


def first(part: str, act: Callable[[], Any]) -> Callable[[str], None]:
    """A `say` that acts once, at the first line with `part` in it."""
    acts = [act]
    return lambda line: acts.pop()() if part in line and acts else None


PUSH_AND_LOAD = """
import json, sys
from pathlib import Path
from synth.release.push import Destination as Push, push_release
release, repo, found = sys.argv[1:]
receipt = push_release(Path(release), Push(repo=repo), say=print)
import datasets
loaded = datasets.load_dataset(repo, split="train")
streamed = datasets.load_dataset(repo, split="train", streaming=True)
local = datasets.Dataset.from_parquet(release + "/data/*.parquet")
Path(found).write_text(json.dumps({
    "receipt": receipt.model_dump(),
    "rows": [loaded.to_list(), list(streamed)],
    "features_differ": not loaded.features == streamed.features == local.features,
}))
"""


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A push and two loads, in a process that has nothing but its environment."""
    folder = tmp_path_factory.mktemp("pushed")
    release, found = make(folder / "release"), folder / "found.json"
    with hub_stand_in() as hub:
        hub.token = TOKEN
        env = {"PYTHONPATH": str(Path(__file__).parents[2])} | hub.env(folder / "home")
        command = [sys.executable, "-c", PUSH_AND_LOAD, str(release), REPO, str(found)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    return SimpleNamespace(hub=hub, release=release, output=output, **json.loads(found.read_text()))


def test_what_is_loaded_is_what_was_pushed(pushed: SimpleNamespace) -> None:
    assert pushed.rows == [ROWS, ROWS]
    assert not pushed.features_differ


def test_a_push_is_one_commit_of_what_the_manifest_lists(pushed: SimpleNamespace) -> None:
    repo, folder = pushed.hub.repos[REPO], pushed.release
    commit, initial = repo.log()
    shards = [f"data/train-0000{shard}-of-00002.parquet" for shard in (0, 1)]
    listed = {path: (folder / path).read_bytes() for path in [*shards, "README.md"]}
    listed["manifest.json"] = (folder / "manifest.json").read_bytes()
    assert commit.files == initial.files | listed
    assert commit.title == f"synth-release: {sha256_file(folder / 'manifest.json')[:32]}"
    assert repo.private
    receipt = pushed.receipt
    assert (receipt["commit"], receipt["already"]) == (commit.oid, False)
    assert (receipt["files"], receipt["bytes"]) == (4, sum(map(len, listed.values())))


def test_the_token_is_sent_to_the_hub_and_stands_nowhere_else(pushed: SimpleNamespace) -> None:
    for line, sent, body in pushed.hub.seen:
        assert sent == (None if line.startswith("PUT /storage") else f"Bearer {TOKEN}"), line
        assert TOKEN.encode() not in body
    assert TOKEN not in pushed.output + json.dumps(pushed.receipt)
    files = [path for path in pushed.release.rglob("*") if path.is_file() and path.name != ".env"]
    assert all(TOKEN.encode() not in path.read_bytes() for path in files)


def test_a_second_push_is_a_no_op_and_leaves_an_edited_card(hub: HubStandIn, release: Path) -> None:
    receipt = push_release(release, PUSH)
    edited = hub.repos[REPO].at().files | {"README.md": b"edited"}
    hub.repos[REPO].add("main", "edit the card", edited)
    assert push_release(release, PUSH) == receipt.model_copy(update={"already": True})
    assert hub.repos[REPO].at().files["README.md"] == b"edited"


def test_stale_shards_leave_in_the_same_commit(hub: HubStandIn, release: Path) -> None:
    push_release(release, PUSH)
    push_release(make(release.parent / "next", shards=1), PUSH)
    head, *before = hub.repos[REPO].log()
    assert len(before) == 2
    assert [path for path in head.files if "data/" in path] == ["data/train-00000-of-00001.parquet"]


@pytest.mark.parametrize("private", [True, False])
def test_an_existing_dataset_of_other_visibility_is_refused(
    hub: HubStandIn, release: Path, private: bool
) -> None:
    hub.repos[REPO] = Repo(private=not private)
    with pytest.raises(RefusedError, match="nothing was uploaded"):
        push_release(release, Push(repo=REPO, private=private))
    assert not hub.calls("upload")
    assert not hub.objects


def test_a_release_of_another_version_is_refused(hub: HubStandIn, release: Path) -> None:
    path = release / "manifest.json"
    path.write_text(path.read_text().replace('"format": 5', '"format": 2'))
    with pytest.raises(InputError, match=f"another version of synth made {release.parent}, "):
        push_release(release, PUSH)
    assert not hub.seen


def test_a_damaged_shard_is_refused_before_anything_is_sent(hub: HubStandIn, release: Path) -> None:
    with next(release.glob("data/*")).open("r+b") as shard:
        shard.write(b"PAR2")
    with pytest.raises(StoreFault, match="does not match"):
        push_release(release, PUSH)
    assert not [line for line, _, _ in hub.seen if not line.startswith("GET")]


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished release in"):
        push_release(tmp_path, PUSH)


@pytest.mark.parametrize(
    ("faults", "sent"),
    [
        (["drop"], 1),
        ([503], 2),
        ([409], 2),
        ([503, 502, 429], 4),
        (["late"], None),  # once or twice: a slow machine finds the commit before it tries again
        ([503, "drop"], 2),
    ],
)
def test_a_lost_or_failed_commit_becomes_exactly_one(
    hub: HubStandIn,
    release: Path,
    faults: list[Any],
    sent: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("synth.release.hub.ANSWER_S", 0.15)  # less than a late commit takes
    hub.faults.extend(faults)
    receipt = push_release(release, PUSH)
    assert [commit.oid for commit in hub.repos[REPO].log()][:-1] == [receipt.commit]
    assert not receipt.already
    assert sent in (None, len(hub.calls("/commit/")))


def test_a_hub_that_stays_down_is_a_fault_that_resumes(hub: HubStandIn, release: Path) -> None:
    hub.faults.extend([503] * 4)
    with pytest.raises(InfrastructureFault, match=rf"{hub.url} answered 503; run the same command"):
        push_release(release, PUSH)
    uploads = len(hub.calls("PUT"))
    assert push_release(release, PUSH).commit == hub.repos[REPO].at().oid
    assert len(hub.calls("PUT")) == uploads == 2


def test_a_commit_in_between_is_built_upon(hub: HubStandIn, release: Path) -> None:
    def interfere() -> None:
        theirs = {"other.md": b"kept", "data/other.parquet": b"stale"}
        hub.repos[REPO].add("main", "other", hub.repos[REPO].at().files | theirs)

    receipt = push_release(release, PUSH, say=first("uploaded", interfere))
    log = hub.repos[REPO].log()
    assert [commit.title for commit in log[1:]] == ["other", "initial commit"]
    assert (log[0].oid, log[0].files["other.md"]) == (receipt.commit, b"kept")
    assert "data/other.parquet" not in log[0].files


def test_a_lost_commit_is_found_beneath_a_later_one(hub: HubStandIn, release: Path) -> None:
    def bury() -> None:
        hub.repos[REPO].add("main", "other", {"manifest.json": b"{}"})

    hub.faults.append("drop")
    receipt = push_release(release, PUSH, say=first("trying again", bury))
    other, ours, _ = hub.repos[REPO].log()
    assert (other.title, ours.oid) == ("other", receipt.commit)


def test_a_release_comes_back_after_another_one(hub: HubStandIn, release: Path) -> None:
    push_release(release, PUSH)
    push_release(make(release.parent / "next", shards=1), PUSH)
    hub.faults.append(503)  # so that the old commit of the same title must not be taken for ours
    assert not push_release(release, PUSH).already
    assert len(hub.repos[REPO].at().files) == 5
    assert len(hub.repos[REPO].log()) == 4


def test_a_tag_marks_the_commit_and_never_moves(hub: HubStandIn, release: Path) -> None:
    settings = Push(repo=REPO, tag="v1", revision="candidate")
    receipt = push_release(release, settings)
    assert hub.repos[REPO].tags == {"v1": receipt.commit}
    assert hub.repos[REPO].branches["candidate"] == receipt.commit
    assert push_release(release, settings).already
    with pytest.raises(RefusedError, match="'v1' of org/maths marks another commit"):
        push_release(make(release.parent / "next", shards=1), settings)
    assert len(hub.calls("/commit/")) == 1


def test_a_gitignore_on_the_hub_leaves_nothing_out(hub: HubStandIn, release: Path) -> None:
    hub.repos[REPO] = Repo(private=True)
    hub.repos[REPO].add("main", "ignore", {".gitignore": b"manifest.json README.md"})
    push_release(release, PUSH)
    assert len(hub.repos[REPO].at().files) == 5


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "does not accept the token for org/maths"),
        (403, "right to write .* 'org'"),
        (404, "org/maths does not exist"),
        (422, "status 422: not with Bearer [*]{3}$"),
    ],
)
def test_a_refusal_names_dataset_and_right_but_no_token(
    hub: HubStandIn, release: Path, status: int, told: str
) -> None:
    hub.status = status
    with pytest.raises(RefusedError, match=told) as refused:
        push_release(release, PUSH)
    assert TOKEN not in "".join(traceback.format_exception(refused.value))


def test_no_token_is_told_with_the_way_to_log_in(
    hub: HubStandIn, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(RefusedError, match=r"no token for the Hub.*hf auth login"):
        push_release(release, PUSH)
    assert not hub.seen


def test_a_dead_address_is_told_at_once(
    hub: HubStandIn, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("synth.release.hub.WAITS_S", (60.0,))
    started = time.monotonic()
    with pytest.raises(InfrastructureFault, match=r"no answer from http://127.0.0.1:9 .*same co"):
        push_release(release, PUSH)
    assert time.monotonic() - started < 30  # it waits for none of the 60 s


def test_the_stage_pushes_the_run_s_release(hub: HubStandIn, release: Path) -> None:
    delivery: Any = SimpleNamespace(run=release.parent, folder=release.parent / "08", say=str)
    assert PUSH.deliver(delivery) == []
    receipt = json.loads((release.parent / "08/push.json").read_text())
    assert receipt["commit"] == hub.repos[REPO].at().oid


@pytest.mark.parametrize("repo", ["maths", "org/", "datasets/org/maths", "org/a--b", "org/-a", ""])
def test_a_name_that_the_hub_would_refuse_is_told_with_the_form_expected(repo: str) -> None:
    with pytest.raises(ValidationError, match="expected `org/name`"):
        Push(repo=repo)


def test_each_release_has_a_tag_of_its_own(hub: HubStandIn, release: Path) -> None:
    first, second = push_release(release, PUSH), None
    second = push_release(make(release.parent / "next", shards=1), PUSH)
    assert first
    assert second
    assert hub.repos[REPO].tags == {first.tag: first.commit, second.tag: second.commit}
    assert first.tag == f"release-{sha256_file(release / 'manifest.json')[:12]}"


def test_a_dry_run_shows_the_difference_and_writes_nothing(hub: HubStandIn, release: Path) -> None:
    shown: list[Difference] = []

    def no(difference: Difference) -> bool:
        shown.append(difference)
        return False

    assert push_release(release, PUSH, agreed=no) is None
    assert not hub.repos
    push_release(release, PUSH)
    (release.parent / "next").mkdir()
    assert push_release(make(release.parent / "next/it", shards=1), PUSH, agreed=no) is None
    new, later = shown
    assert (new.exists, len(new.new), later.exists) == (False, 4, True)
    assert [file.path for file in later.new] == ["data/train-00000-of-00001.parquet"]
    assert [file.path for file in later.changed] == ["manifest.json"]
    assert [file.path for file in later.same] == ["README.md"]
    assert later.removed == [f"data/train-0000{n}-of-00002.parquet" for n in (0, 1)]
    assert "  - data/train-00000-of-00002.parquet" in later.lines
    assert len(hub.repos[REPO].log()) == 2


def test_a_token_that_may_only_read_is_refused_first(hub: HubStandIn, release: Path) -> None:
    hub.role = "read"
    with pytest.raises(RefusedError, match="the token may only read, not write to org/maths"):
        push_release(release, PUSH)
    with pytest.raises(RefusedError, match="may only read"):
        PUSH.preflight()
    assert {line for line, _, _ in hub.seen} == {"GET /api/whoami-v2"}


def test_a_run_starts_while_the_hub_is_down(hub: HubStandIn) -> None:
    hub.status = 503
    PUSH.preflight()
    assert hub.seen


KEY = "AKIA" + "Q7ZXT2MWPL4RS9KD"


def with_text(folder: Path, text: str) -> Path:
    """A release whose third row has this text."""
    path = make(folder) / "data/train-00001-of-00002.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["messages"].append({"role": "assistant", "content": text})
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    manifest = load_manifest(folder / "manifest.json")
    assert manifest
    files = [
        file.model_copy(
            update={
                "bytes": (folder / file.path).stat().st_size,
                "sha256": sha256_file(folder / file.path),
            }
        )
        for file in manifest.files
    ]
    save(manifest.model_copy(update={"files": files}), folder / "manifest.json")
    return folder


def test_a_release_with_a_secret_is_not_published(hub: HubStandIn, tmp_path: Path) -> None:
    release = with_text(tmp_path / "release", f"Use the key {KEY}.")
    with pytest.raises(RefusedError, match=r"secret 1 \(in data/train-00001.*, rows r2\)") as told:
        publish_release(release, PUSH)
    assert KEY not in str(told.value)
    assert not hub.repos
    allowed = PUSH.model_copy(update={"allow": (PiiKind.SECRET,)})
    assert publish_release(release, allowed)


def test_personal_data_stops_a_public_release_only(hub: HubStandIn, tmp_path: Path) -> None:
    release = with_text(tmp_path / "release", "Write to ann.lee@northwind-mail.org today.")
    said: list[str] = []
    with pytest.raises(RefusedError, match=r"email 1 .*allow: \[email\]"):
        publish_release(release, Push(repo=REPO, private=False))
    assert publish_release(release, PUSH, say=said.append)
    assert [line for line in said if line.startswith("WARNING: the release contains email 1")]


def test_a_clean_release_has_no_finding(release: Path) -> None:
    manifest = load_manifest(release / "manifest.json")
    assert manifest
    assert not scan(release, manifest.files, list(PiiKind)).counts


def test_what_was_pushed_can_be_pulled(hub: HubStandIn, release: Path, tmp_path: Path) -> None:
    receipt = push_release(release, PUSH)
    assert receipt
    pushed = push_release(make(tmp_path / "next", shards=1), PUSH)
    assert pushed
    pull_release(REPO, tmp_path / "back", receipt.tag)
    there = {str(path.relative_to(release)) for path in release.rglob("*") if path.is_file()}
    back = {p.relative_to(tmp_path / "back"): p for p in (tmp_path / "back").rglob("*")}
    back = {str(name): path for name, path in back.items() if path.is_file()}
    assert set(back) == there - {".env"}
    assert all(path.read_bytes() == (release / name).read_bytes() for name, path in back.items())
    with pytest.raises(InputError, match="back exists; choose another folder"):
        pull_release(REPO, tmp_path / "back")


def test_each_format_goes_out_comes_back_and_leaves_with_its_release(
    hub: HubStandIn, tmp_path: Path
) -> None:
    pairs = [[made.answer(0, rejected="B")]]
    made.release(tmp_path / "both", pairs, format=["messages", "preference"])
    made.release(tmp_path / "one", pairs)
    push_release(tmp_path / "both" / "release", PUSH)
    pull_release(REPO, tmp_path / "back")
    assert len(read_shard(tmp_path / "back" / "preference" / "train-00000-of-00001.parquet")) == 1
    push_release(tmp_path / "one" / "release", PUSH)
    folders = {path.partition("/")[0] for path in hub.repos[REPO].at().files if "/" in path}
    assert folders == {"data", "provenance"}


def test_a_damaged_or_foreign_dataset_is_not_pulled(hub: HubStandIn, release: Path) -> None:
    push_release(release, PUSH)
    repo, folder = hub.repos[REPO], release.parent / "back"
    shard = next(path for path in repo.at().files if path.startswith("data/"))
    good = repo.at().files
    repo.add("main", "damage", good | {shard: good[shard][:-9] + b"123456789"})
    with pytest.raises(StoreFault, match="does not match its manifest"):
        pull_release(REPO, folder)
    repo.add("main", "foreign", {"README.md": b"theirs"})
    with pytest.raises(InputError, match=r"org/maths has no manifest.json, so it is not a release"):
        pull_release(REPO, folder)
    with pytest.raises(RefusedError, match="org/other does not exist"):
        pull_release("org/other", folder)
    assert not folder.exists()


def test_a_push_that_nobody_approves_ends_with_the_way_to_go_on(
    hub: HubStandIn, release: Path
) -> None:
    asked: list[str] = []

    def agreed(question: str) -> bool:
        asked.append(question)
        return len(asked) > 1

    delivery: Any = SimpleNamespace(
        run=release.parent, folder=release.parent / "08", say=str, agreed=agreed
    )
    push = Push(repo=REPO, approve=True)
    with pytest.raises(RefusedError, match="nobody approved the push to org/maths"):
        push.deliver(delivery)
    assert not hub.repos
    assert asked[0].startswith("org/maths: new private dataset, 0 rows, tag release-")
    assert push.deliver(delivery) == []
    assert hub.repos[REPO]
