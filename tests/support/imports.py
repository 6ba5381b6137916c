"""What a module imports, read as the oldest Python that a machine may have reads it."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType


def imported_by(module: ModuleType) -> set[str]:
    """The top-level names that a module imports anywhere in it.

    Raises:
        SyntaxError: Python 3.8 could not run it.
    """
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"), feature_version=(3, 8))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names
