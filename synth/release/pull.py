"""Downloads a published release from the Hugging Face Hub, verified against its manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

from synth.errors import InfrastructureFault, InputError, SynthError
from synth.release.hub import AGAIN, explain
from synth.release.push import finished_release
from synth.store.manifest import NAME, Manifest, verify_file


def pull_release(
    repo: str,
    folder: Path,
    revision: str | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Manifest:
    """Puts the release that `push` published into the folder, and returns its manifest.

    `revision` is a branch, tag or commit. The folder is complete or absent: files are downloaded
    and verified beside it first. Raises `InputError` if the folder exists or the dataset is not a
    release of synth, `StoreFault` if a file does not match the manifest, and the errors of a push
    for the token and the Hub.
    """
    if folder.exists():
        raise InputError(f"{folder} exists; choose another folder with --out, or remove it")
    aside = folder.with_name(f".{folder.name}.pulled")
    api = HfApi(library_name="synth-pipeline")
    try:
        with disable_progress_bars():
            commit = str(api.repo_info(repo, repo_type="dataset", revision=revision).sha)
            say(f"{repo}: commit {commit[:12]}")
            _download(api, repo, NAME, commit, aside)
            manifest = finished_release(aside)
            for number, file in enumerate(manifest.files, 1):
                _download(api, repo, file.path, commit, aside)
                verify_file(aside, file)
                say(f"{number} of {len(manifest.files)} files: {file.path}")
    except SynthError:
        raise
    except LocalEntryNotFoundError:
        raise InfrastructureFault(f"no answer from {api.endpoint}; {AGAIN}") from None
    except EntryNotFoundError as error:
        raise InputError(
            f"{repo} has no {NAME}, so it is not a release of synth, or not all of its files are "
            "there; `read` takes other datasets of the Hub"
        ) from error
    except Exception as error:  # the client raises many types
        fault, _ = explain(error, repo, api.endpoint, reached=True)
        raise fault from None  # the cause's text may hold a signed address
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(aside / ".cache", ignore_errors=True)  # the client's notes
    aside.rename(folder)
    return manifest


def _download(api: HfApi, repo: str, path: str, commit: str, folder: Path) -> None:
    api.hf_hub_download(repo, path, repo_type="dataset", revision=commit, local_dir=folder)
