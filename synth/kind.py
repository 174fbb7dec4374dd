"""What the records are at one place of the line. Apart from Arrow, so that recipes load fast."""

from enum import StrEnum


class Kind(StrEnum):
    """Decides which stages may follow."""

    NOTHING = "nothing"
    """Before `read`."""
    PROMPTS = "prompts"
    """`context` to be answered, no `text` yet."""
    DOCUMENTS = "documents"
    """`text` to be learnt, no `context`."""
    ANSWERS = "answers"
    """`context` and the `text` that answers it."""
    RELEASE = "release"
    """Written as a dataset folder: only `push` may follow."""
