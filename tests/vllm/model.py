"""The model that the tests serve: the GGUF file that comes with the install, converted once."""

from __future__ import annotations

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

from synth.teacher.embedded import Embedded, model_file

CONVERT = Path(__file__).with_name("convert.py")


def converted(python: Path) -> Path:
    """The folder that vLLM serves. This Python makes it where the cache has none: 30 s, 269 MB."""
    gguf = model_file(Embedded())
    cache = Path(os.environ.get("SYNTH_CACHE") or Path.home() / ".cache" / "synth")
    cache.mkdir(parents=True, exist_ok=True)
    version = sha256(gguf.read_bytes() + CONVERT.read_bytes()).hexdigest()[:12]
    folder = cache / f"{gguf.stem}-{version}"
    if not folder.is_dir():
        print(f"converting {gguf.name} to {folder}, once: half a minute", flush=True)
        unfinished = folder.with_name(folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [str(python), str(CONVERT), str(gguf), str(unfinished)]
        subprocess.run(command, check=True, env={**os.environ, "TQDM_DISABLE": "1"})
        unfinished.rename(folder)  # a killed run leaves no folder that looks finished
    return folder
