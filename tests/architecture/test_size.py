"""Small by default: caps on files and functions; the list of exceptions may only shrink."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_CAP, FUNCTION_CAP = 600, 80
EXCEPTIONS: set[str] = set()
FILES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_size(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    too_long = [f"{name}: {text.count(chr(10))} lines"] if text.count("\n") > FILE_CAP else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_CAP:
                too_long.append(f"{name}:{node.name}: {length} lines")

    assert [item for item in too_long if item not in EXCEPTIONS] == []


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: path.stem)
def test_no_hidden_state(path: Path) -> None:
    """No ``global``, and no mutable value bound to a name at module level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    globals_used = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)]
    mutable = [
        node.lineno
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, (ast.List, ast.Dict, ast.Set))
        and ast.unparse(node.targets[0]) != "__all__"
    ]

    assert (globals_used, mutable) == ([], [])


def test_tests_do_not_sleep() -> None:
    sleeping = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "time"
    ]

    assert sleeping == []
