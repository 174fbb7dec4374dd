"""The small model's folder: made once, kept in the cache, made anew when its recipe changes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

from tests.vllm.texts import write_chats

MAKE = Path(__file__).with_name("make_model.py")


def small_model(python: Path) -> Path:
    """The folder of the model, made by this Python where the cache has none: some 90 s."""
    cache = Path(os.environ.get("SYNTH_CACHE") or Path.home() / ".cache" / "synth")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        texts = Path(scratch) / "texts.jsonl"
        write_chats(texts)
        version = sha256(texts.read_bytes() + MAKE.read_bytes()).hexdigest()[:12]
        folder = cache / f"tiny-model-{version}"
        if not folder.is_dir():
            print(f"training the small model {folder.name}, once, for a minute or two", flush=True)
            subprocess.run([str(python), str(MAKE), str(texts), str(folder)], check=True)
    return folder
