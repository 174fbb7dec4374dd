"""Reads a split of a dataset on the Hugging Face Hub, streamed by `datasets`.

read: {prompts: {hub: openai/gsm8k, config: main, split: train, revision: v1}}

The revision is resolved to a commit before the first row is read, so the whole run reads one state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from pydantic import Field

from seeds.lines import Row
from seeds.reader import Ahead, Reader
from synth.errors import InputError, StoreFault, SynthError, did_you_mean
from synth.model import Model
from synth.release.contents import DEFAULT
from synth.release.formats import Format
from synth.store.manifest import PROVENANCE

COMMIT = re.compile(r"[0-9a-f]{40}")
MEDIA = ("Audio", "Image", "Video", "Pdf", "Nifti")
"""Features whose values are files; they are left out, since no stage reads them."""
LOGIN = "log in with `hf auth login`, or set HF_TOKEN"
NOT_THERE = (
    "does not exist, has no data that `datasets` can read, or may not be read: correct the name, "
    f"or {LOGIN}"
)
REFUSALS = (401, 403, 404)
T = TypeVar("T")


class HubDataset(Model):
    """A dataset on the Hub."""

    hub: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    """Its name, such as `openai/gsm8k`."""
    config: str | None = None
    """Its configuration. Required if it has several and none is the default."""
    split: str | None = None
    """Its split. Required if it has several."""
    revision: str = "main"
    """A branch, a tag or a commit."""

    def __str__(self) -> str:
        return f"hub: {self.hub}"


@dataclass(frozen=True, slots=True)
class HubSplit:
    """One split of a dataset at one commit."""

    hub: str
    config: str
    split: str
    commit: str
    traced: bool = False
    """Whether it is a release of ours, with its provenance in a configuration of its own."""

    @property
    def label(self) -> str:
        """Its name in a record's trail."""
        return f"{self.hub}/{self.config}/{self.split}"

    @property
    def reader(self) -> Reader:
        """Reads its rows."""
        return Reader("hub", (), lambda _path, _web, _most: self._rows(), lambda *_: self._look())

    def _rows(self) -> Iterator[Row]:
        """The rows in order, numbered from 1."""
        beside = self._stream(PROVENANCE) if self.traced else iter(())
        rows = self._stream(self.config)
        for number, values in enumerate(rows, 1):
            # it has all rows of the config, in the same order
            other = next((one for one in beside if one.get("id") == values.get("id")), {})
            yield Row(number, {**other, **values})

    def _stream(self, config: str) -> Iterator[dict[str, Any]]:
        from datasets import load_dataset  # noqa: PLC0415  takes a second

        def opened() -> Iterator[dict[str, Any]]:
            stream = load_dataset(
                self.hub, config, split=self.split, revision=self.commit, streaming=True
            )
            media = [
                name
                for name, feature in (stream.features or {}).items()
                if type(feature).__name__ in MEDIA
            ]
            return iter(stream.remove_columns(media) if media else stream)

        rows = _asked(self.hub, opened)
        while (values := _asked(self.hub, lambda: next(rows, None))) is not None:
            yield values

    def _look(self) -> Ahead:
        first = next(self._rows(), None)
        return Ahead(list(first.values or ()) if first else [], first is not None)


def find_split(dataset: HubDataset, split: str | None) -> HubSplit:
    """The split at the commit of the revision.

    Raises `InputError` if the dataset or a part of it does not exist, or must be chosen.
    """
    from datasets import (  # noqa: PLC0415  takes a second
        get_dataset_config_names,
        get_dataset_default_config_name,
        get_dataset_split_names,
    )

    hub, wanted = dataset.hub, dataset.split or split
    commit = dataset.revision
    if not COMMIT.fullmatch(commit):
        commit = _asked(hub, lambda: HfApi().dataset_info(hub, revision=commit).sha) or commit
    configs = _asked(hub, lambda: get_dataset_config_names(hub, revision=commit))
    default = _asked(hub, lambda: get_dataset_default_config_name(hub, revision=commit))
    config = _choice(hub, "config", configs, dataset.config or default)
    splits = _asked(hub, lambda: get_dataset_split_names(hub, config, revision=commit))
    chosen = _choice(hub, "split", splits, wanted)
    traced = PROVENANCE in configs and config in (DEFAULT, *Format)
    return HubSplit(hub, config, chosen, commit, traced)


def _choice(hub: str, key: str, names: list[str], wanted: str | None) -> str:
    if wanted in names:
        return str(wanted)
    if wanted is None and len(names) == 1:
        return names[0]
    has = f"hub: {hub} has the {key}s {', '.join(names)}"
    if wanted is None:
        raise InputError(f"{has}: choose one with `{key}: {names[0]}`")
    raise InputError(f"{has}, not {wanted!r}{did_you_mean(wanted, names)}: correct `{key}`")


def _asked(hub: str, ask: Callable[[], T]) -> T:
    """The answer of the Hub. Its errors are `SynthError`s: mistakes, or faults to resume from."""
    try:
        return ask()
    except SynthError:
        raise
    except GatedRepoError as error:
        raise InputError(
            f"hub: {hub} is gated: accept its terms on the Hub, and {LOGIN}"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"hub: {hub} has no such revision: correct `revision`") from error
    except (RepositoryNotFoundError, FileNotFoundError) as error:
        raise InputError(f"hub: {hub} {NOT_THERE}") from error
    except OfflineModeIsEnabled as error:
        raise InputError(f"hub: {hub} cannot be read while HF_HUB_OFFLINE is set") from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code in REFUSALS:
            raise InputError(f"hub: {hub} {NOT_THERE}") from error
        raise StoreFault(
            f"hub: {hub} cannot be read ({type(error).__name__}): check the network, then run the "
            "same command again"
        ) from error
    except (ValueError, RuntimeError) as error:  # of `datasets`, for files that it cannot read
        line = " ".join(str(error).split())[:300]
        raise InputError(f"hub: {hub} is no dataset that `datasets` can read: {line}") from error
