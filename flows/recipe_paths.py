"""The settings of a recipe that name files: beside the recipe, where the user works, or shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filters.contamination.benchmark import FORMATS
from flows.strict_yaml import Document
from synth.errors import RecipeError

ROOT = Path(__file__).resolve().parents[1]
ANSWERING = ("json_schema", "knowledge", "examples.file")
PATHS: Mapping[str, Sequence[str]] = {
    "read": ("prompts", "web", "answers"),
    "distill": ANSWERING,
    "resample": ANSWERING,
    "rewrite": ("styles",),
    "decontaminate": ("against",),
    "use_tools": ("tools",),
    "judge": ("rubric",),
    "revise": ("constitution",),
    "toxicity": ("words",),
    "json_schema": ("against",),
}
"""By stage, filter or verifier; `a.b` is b of the mapping a."""
LISTS = {"quality": "filters", "verify": "checks"}
"""The stages that have filters or verifiers in a list, and the list's key."""
WORDS = {"knowledge": ("generate",), "rubric": ("helpful", "educational", "prompt", "grounded")}
"""Values of these settings that are not paths."""
ENDINGS = {"styles": (".md",), "against": FORMATS}
"""Settings whose values are paths only with one of these endings; others are names."""


def with_paths(document: Document, path: Path) -> dict[str, Any]:
    """The recipe with its paths made absolute. Raises `RecipeError` where nothing is there."""
    recipe: dict[str, Any] = dict(document.value)
    stages = recipe.get("stages")
    if not isinstance(stages, list):
        return recipe
    finder = _Finder(document, path)
    return {**recipe, "stages": [finder.stage(n, entry) for n, entry in enumerate(stages)]}


class _Finder:
    """Finds the files of one recipe."""

    def __init__(self, document: Document, path: Path) -> None:
        self._document = document
        self._path = path

    def stage(self, index: int, entry: Any) -> Any:
        """A line of `stages`, and what is in its list."""
        if not isinstance(entry, dict):
            return entry
        entry = self._part(entry, (index, next(iter(entry), "")))
        for name, key in LISTS.items():
            settings = entry.get(name)
            parts = settings.get(key) if isinstance(settings, dict) else settings
            if isinstance(parts, list):
                found = [self._part(part, (index, name)) for part in parts]
                entry = {name: {**settings, key: found} if isinstance(settings, dict) else found}
        return entry

    def _part(self, part: Any, place: tuple[int, str]) -> Any:
        """`{name: settings}`, its paths made absolute."""
        if not isinstance(part, dict):
            return part
        return {
            name: self._settings(settings, PATHS.get(name, ()), place)
            for name, settings in part.items()
        }

    def _settings(self, settings: Any, keys: Sequence[str], place: tuple[int, str]) -> Any:
        if not isinstance(settings, dict):
            return settings
        found = dict(settings)
        for key in keys:
            outer, _, inner = key.partition(".")
            if outer not in found:
                continue
            if inner:
                found[outer] = self._settings(found[outer], [inner], place)
            else:
                found[outer] = self._located(outer, found[outer], place)
        return found

    def _located(self, key: str, value: Any, place: tuple[int, str]) -> Any:
        if isinstance(value, list):
            return [self._located(key, item, place) for item in value]
        if key == "against" and isinstance(value, dict):
            return self._settings(value, ("file",), place)
        if not isinstance(value, str) or value in WORDS.get(key, ()):
            return value
        if key in ENDINGS and not value.endswith(ENDINGS[key]):
            return value
        given = Path(value).expanduser()
        places = [self._path.parent / given, Path.cwd() / given, ROOT / given]
        for one in places:
            if one.exists():
                return str(one.resolve())
        where = self._document.where(self._document.path(("stages", *place)))
        looked = ", ".join(dict.fromkeys(str(one.parent.resolve()) for one in places[:2]))
        raise RecipeError(f"{where}: no file or folder {value!r} (looked in {looked})")
