"""Package structure: imports have one direction and no cycles; only `flows` uses Prefect.

A name means one class.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "synth": {"synth"},
    "filters": {"filters", "synth"},
    "seeds": {"seeds", "synth"},
    "flows": {"flows", "seeds", "filters", "synth"},
}
OURS = set(MAY_IMPORT)


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(OURS))
def test_imports_point_downhill(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    uphill = {
        str(path.relative_to(ROOT)): wrong
        for path in files
        if (wrong := (imported(path) & OURS) - MAY_IMPORT[package])
    }
    assert not uphill


def files_imported(path: Path) -> set[Path]:
    """The files of ours that a file imports, anywhere in it, for types only or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            continue
        found |= {ROOT / f"{name.replace('.', '/')}.py" for name in names}
    return {file for file in found if file.is_file()}


def test_no_files_import_each_other_in_a_circle() -> None:
    files = [path for package in OURS for path in (ROOT / package).rglob("*.py")]
    order = TopologicalSorter({path: files_imported(path) for path in files})
    assert len(list(order.static_order())) == len(files)  # raises CycleError, which names the files


def test_each_public_class_name_is_used_once() -> None:
    places = defaultdict(list)
    for path in sorted(path for package in OURS for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert not {name: files for name, files in places.items() if len(files) > 1}


def test_only_flows_imports_prefect() -> None:
    files = [path for package in OURS - {"flows"} for path in (ROOT / package).rglob("*.py")]
    assert not [path for path in files if "prefect" in imported(path)]


def test_no_pin_names_an_address_and_each_has_a_hash() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pins
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins)
