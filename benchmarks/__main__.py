"""Lists the benchmarks: `python -m benchmarks`."""

import ast
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
    module = ast.parse(path.read_text(encoding="utf-8"))
    if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body):
        first = (ast.get_docstring(module) or "").splitlines()[0]
        print(f"python -m benchmarks.{path.stem:<18} {first}")
