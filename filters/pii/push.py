"""The recipe's last stage, `push`: scans the release, then publishes it on the Hugging Face Hub.

    - push: {repo: my-org/maths-distill, allow: [email]}

A release with secrets is refused. Personal data stops a public release; of a private one, it is
only reported.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from filters.pii.kinds import PiiKind
from filters.pii.scan import scan
from synth.engine.plan import RELEASE
from synth.engine.stage import Delivery, Sink
from synth.errors import InfrastructureFault, RefusedError
from synth.kind import Kind
from synth.release.hub import PushReceipt
from synth.release.push import Destination, check_destination, push_release
from synth.store.durable import write_bytes
from synth.store.manifest import Manifest, ShardReceipt


class Push(Destination, Sink):
    """Scans the release for personal data and publishes it as a dataset on the Hub."""

    name: ClassVar[str] = "push"
    takes: ClassVar[frozenset[Kind]] = frozenset({Kind.RELEASE})
    not_in_fingerprint: ClassVar[tuple[str, ...]] = ("approve", "allow")

    allow: tuple[PiiKind, ...] = Field(
        (), description="kinds of personal data or secrets that may be published"
    )
    approve: bool = Field(
        False, description="whether somebody has to approve the push before it happens"
    )

    def preflight(self) -> None:
        """Checks the token and the dataset before the run starts, since it may take hours.

        A Hub that does not answer now may answer then.
        """
        try:
            check_destination(self)
        except InfrastructureFault:
            return

    def question(self, run: Path, say: Callable[[str], None]) -> str:
        """What a push of the run's release would publish and change. Raises as `publish_release`;
        publishes nothing."""
        asked: list[str] = []

        def no(question: str) -> bool:
            asked.append(question)
            return False

        publish_release(run / RELEASE, self, say=say, agreed=no)
        return asked[0]

    def deliver(self, delivery: Delivery) -> list[ShardReceipt]:
        """Pushes the run's release and writes its address to `push.json`. Makes no shards."""
        agreed = delivery.agreed if self.approve else None
        receipt = publish_release(delivery.run / RELEASE, self, say=delivery.say, agreed=agreed)
        if receipt is None:
            raise RefusedError(
                f"nobody approved the push to {self.repo}, so nothing was published; run the same "
                f"command again, or `synth push {delivery.run} --repo {self.repo}`"
            )
        write_bytes(delivery.folder / "push.json", receipt.model_dump_json(indent=1).encode())
        return []


def publish_release(
    release: Path,
    push: Push,
    *,
    say: Callable[[str], None] = lambda _line: None,
    agreed: Callable[[str], bool] | None = None,
) -> PushReceipt | None:
    """Scans the release and pushes it; see `push_release`. None if `agreed` says no.

    `agreed` gets the lines that say what was found and what the push would change. Raises
    `RefusedError` if the scan finds what may not be published.
    """
    return push_release(
        release,
        push,
        say=say,
        inspect=lambda manifest: _scanned(release, manifest, push, say),
        agreed=None if agreed is None else lambda change: agreed("\n".join(change.lines)),
    )


def _scanned(
    release: Path, manifest: Manifest, push: Push, say: Callable[[str], None]
) -> list[str]:
    """Warnings about personal data. Raises `RefusedError` if it may not be published."""
    say(f"scanning {release} for personal data and secrets")
    kinds = [kind for kind in PiiKind if kind not in push.allow]
    found = scan(release, manifest.files, kinds)
    if not found.counts:
        return []
    if PiiKind.SECRET in found.kinds or not push.private:
        names = ", ".join(sorted(found.kinds))
        raise RefusedError(
            f"{release} is not published: it contains {found}. Put `redact` after the stages "
            f"that make text and run the recipe again. If the findings are harmless, allow them: "
            f"`allow: [{names}]` under `push`, or `--allow '{names}'`"
        )
    say(f"WARNING: the release contains {found}")
    return [f"It contains {found}"]
