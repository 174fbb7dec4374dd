"""The kinds of records between two stages. Does not import Arrow, so that recipes load fast."""

from enum import StrEnum


class Kind(StrEnum):
    """The kind of a stage's records. It decides which stages may follow."""

    NOTHING = "nothing"
    """Before `read`."""
    PROMPTS = "prompts"
    """`context` to answer, no `text` yet."""
    DOCUMENTS = "documents"
    """`text` to learn from, no `context`."""
    ANSWERS = "answers"
    """`context` and the `text` that answers it."""
    RELEASE = "release"
    """Written as a dataset folder: only `push` may follow."""
