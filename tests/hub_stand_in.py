"""A stand-in of the Hugging Face Hub for datasets, on loopback: real sockets, all in memory.

It answers what the client and `load_dataset` ask. What the real Hub has and this has not: Xet,
pull requests, a storage host behind redirects, pages, a judgement on cards, rights by organisation.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from base64 import b64decode
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

from aiohttp import web

LATE_S = 0.3


class Refusal(Exception):  # noqa: N818  an answer, not an error
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str
    title: str
    files: dict[str, bytes]

    def file_oid(self, path: str) -> str | None:
        """What the Hub calls a file: by its sha256 in LFS, else by its blob in git."""
        data = self.files.get(path, b"")
        blob = sha1(b"blob %d\0" % len(data) + data)
        found = sha256(data) if path.endswith(".parquet") else blob
        return found.hexdigest() if path in self.files else None

    def entry(self, path: str) -> dict[str, Any]:
        oid, size = self.file_oid(path), len(self.files[path])
        lfs = {"lfs": {"oid": oid, "size": size, "pointerSize": 130}}
        entry = {"type": "file", "path": path, "size": size, "oid": oid}
        return entry | (lfs if path.endswith(".parquet") else {})


class Repo:
    def __init__(self, *, private: bool) -> None:
        self.private = private
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.add("main", "initial commit", {".gitattributes": b"*.parquet filter=lfs\n"})

    def add(self, branch: str, title: str, files: dict[str, bytes]) -> Commit:
        parent = self.branches.get(branch, "")
        oid = sha1(f"{parent}{title}{len(self.commits)}".encode()).hexdigest()
        self.commits[oid] = Commit(oid, parent, title, files)
        self.branches[branch] = oid
        return self.commits[oid]

    def at(self, revision: str = "main") -> Commit:
        return self.commits[self.branches.get(revision) or self.tags.get(revision) or revision]

    def log(self, revision: str = "main") -> list[Commit]:
        """Newest first."""
        found = [self.at(revision)]
        while found[-1].parent:
            found.append(self.commits[found[-1].parent])
        return found


@dataclass
class HubStandIn:
    """The state, which a test reads and sets while it serves."""

    url: str = ""
    token: str | None = None
    """Required as `Authorization: Bearer …` when set; another one is answered 401."""
    role: str = "write"
    """What the token may do, as `whoami` answers."""
    status: int | None = None
    """The answer to every request when set, in words that repeat the token, as no Hub should."""
    faults: deque[int | str] = field(default_factory=deque)
    """For the next commits: a status, `drop` (lands, answer lost), `late` (after `LATE_S`)."""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    """Each request: `POST /api/…`, its Authorization header, its body."""

    def env(self, home: Path) -> dict[str, str]:
        """For a process that shall take this for the Hub; its client reads it when imported."""
        token = {"HF_TOKEN": self.token} if self.token else {}
        off = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(home)} | off | token

    def calls(self, part: str) -> list[str]:
        return [line for line, _, _ in self.seen if part in line]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body, sent = await request.read(), request.headers.get("Authorization")
        self.seen.append((f"{request.method} {request.path_qs}", sent, body))
        try:
            content = await self.route(request, request.path.strip("/").split("/"), body)
        except Refusal as no:
            return web.json_response({"error": str(no)}, status=no.status)
        except KeyError as missing:  # a dataset, a revision or a file
            dataset = "/resolve/" not in request.path and str(missing.args[0]).count("/") == 1
            headers = {"X-Error-Code": "RepoNotFound" if dataset else "EntryNotFound"}
            return web.json_response({"error": f"no {missing}"}, status=404, headers=headers)
        return content if isinstance(content, web.Response) else web.json_response(content)

    async def route(self, request: web.BaseRequest, path: list[str], body: bytes) -> Any:
        sent = request.headers.get("Authorization")
        if self.status:
            raise Refusal(self.status, f"not with {sent}")
        if self.token and sent != f"Bearer {self.token}" and request.method != "PUT":
            raise Refusal(401, "Invalid credentials")
        match request.method, path:
            case "POST", ["api", "repos", "create"]:
                asked = json.loads(body)
                name = "{organization}/{name}".format(**asked)
                status = 409 if name in self.repos else 200
                self.repos.setdefault(name, Repo(private=asked.get("visibility") == "private"))
                return web.json_response({"url": f"{self.url}/datasets/{name}"}, status=status)
            case "GET", ["api", "whoami-v2"]:
                return {"name": "me", "auth": {"accessToken": {"role": self.role}}}
            case "POST", ["api", "validate-yaml"] | ["verify"]:
                return {}
            case "POST", ["datasets", _, _, "info", "lfs", "objects", "batch"]:
                asked = json.loads(body)
                for wanted in asked["objects"]:
                    if wanted["oid"] not in self.objects:
                        href = f"{self.url}/storage/{wanted['oid']}?X-Signature=secret"
                        verify = {"href": f"{self.url}/verify"}
                        wanted["actions"] = {"upload": {"href": href}, "verify": verify}
                return asked
            case "PUT", ["storage", oid]:
                if sha256(body).hexdigest() != oid:
                    raise Refusal(400, "content does not match its name")
                self.objects[oid] = body
                return {}
            case "POST", ["api", "datasets", owner, name, "commit", branch]:
                repo = self.repos[f"{owner}/{name}"]
                made = await self.commit(repo, branch, body, request.transport)
                url = f"{self.url}/datasets/{owner}/{name}/commit/{made.oid}"
                return {"commitUrl": url, "commitOid": made.oid}
            case method, ["api", "datasets", owner, name, *rest]:
                everything = request.query.get("recursive") == "true"
                return api(self.repos[f"{owner}/{name}"], method, rest, body, everything=everything)
            case "GET" | "HEAD", ["datasets", owner, name, "resolve", revision, *parts]:
                commit = self.repos[f"{owner}/{name}"].at(revision)
                return resolve(commit, "/".join(parts), request.http_range)
        raise Refusal(404, "no such address")

    async def commit(self, repo: Repo, branch: str, body: bytes, socket_: Any) -> Commit:
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            raise Refusal(fault, "the Hub has a bad day")
        if fault == "late":
            await asyncio.sleep(LATE_S)
        header, *lines = [json.loads(line) for line in body.splitlines()]
        if header["value"]["parentCommit"] != repo.at(branch).oid:
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.at(branch).files)
        for value in (line["value"] for line in lines):
            if "oid" in value:
                files[value["path"]] = self.objects[value["oid"]]
            elif "content" in value:
                files[value["path"]] = b64decode(value["content"])
            else:
                del files[value["path"]]
        if fault == "drop":
            socket_.abort()
        return repo.add(branch, header["value"]["summary"], files)


def api(repo: Repo, method: str, rest: list[str], body: bytes, *, everything: bool) -> Any:
    commit = repo.at(rest[1] if rest[1:] and rest[0] != "branch" else "main")
    match method, rest:
        case "GET", [] | ["revision", _]:
            return {"id": "org/name", "private": repo.private, "sha": commit.oid}
        case "GET", ["refs"]:
            return {"branches": refs(repo.branches), "tags": refs(repo.tags), "converts": []}
        case "POST", ["branch", branch]:
            repo.branches[branch] = commit.oid
            return {}
        case "POST", ["tag", _]:
            repo.tags[json.loads(body)["tag"]] = commit.oid
            return {}
        case "GET", ["commits", _]:
            known = {"message": "", "authors": [{"user": "me"}], "date": "2026-01-01T00:00:00.000Z"}
            return [known | {"id": c.oid, "title": c.title} for c in repo.log(commit.oid)]
        case "GET", ["tree", _, *folder]:
            return tree(commit, "/".join(folder), everything=everything)
        case "POST", ["preupload", _]:
            asked = json.loads(body)
            ignored = asked.get("gitIgnore", commit.files.get(".gitignore", b"").decode()).split()
            for file in asked["files"]:
                path = file["path"]
                file |= {"shouldIgnore": path in ignored, "oid": commit.file_oid(path)}
                file["uploadMode"] = "lfs" if path.endswith(".parquet") else "regular"
            return asked
    raise Refusal(404, "no such address")


def refs(names: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "ref": name, "targetCommit": oid} for name, oid in names.items()]


def tree(commit: Commit, folder: str, *, everything: bool) -> list[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    inside = [path for path in commit.files if path.startswith(prefix)]
    files = [path for path in inside if everything or "/" not in path.removeprefix(prefix)]
    folders = {path.removeprefix(prefix).split("/")[0] for path in inside if path not in files}
    return [commit.entry(path) for path in files] + [
        {"type": "directory", "path": prefix + name, "oid": "0" * 40} for name in folders
    ]


def resolve(commit: Commit, path: str, part: slice) -> web.Response:
    data = commit.files[path]
    headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{commit.file_oid(path)}"'}
    if part.start is None:
        return web.Response(body=data, headers=headers)
    start, end, _ = part.indices(len(data))
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
    return web.Response(body=data[start:end], status=206, headers=headers)


@contextlib.contextmanager
def hub_stand_in() -> Iterator[HubStandIn]:
    """Serves from a thread of its own until the block ends."""
    hub, ended = HubStandIn(), threading.Event()

    async def serve() -> None:
        room = partial(web.BaseRequest, loop=asyncio.get_running_loop(), client_max_size=1 << 30)
        runner = web.ServerRunner(web.Server(hub.answer, request_factory=room))
        await runner.setup()
        await web.SockSite(runner, door).start()
        await asyncio.to_thread(ended.wait)
        await runner.cleanup()

    with socket.create_server(("127.0.0.1", 0)) as door:  # who comes early waits in its queue
        hub.url = f"http://127.0.0.1:{door.getsockname()[1]}"
        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            ended.set()
            thread.join(10)
