"""Who may import whom: DESIGN.md's table as data, checked with ast."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PURE_BANNED = {"os", "socket", "subprocess", "asyncio", "ctypes", "time", "random", "threading", "shutil", "tempfile"}

#: package → packages of ours that it may import, besides itself, errors and values
TABLE: dict[str, set[str]] = {
    "errors": set(),
    "values": set(),
    "config": set(),
    "network": set(),
    "linux": set(),
    "wiring": {"network", "linux"},
    "dns": {"linux", "network.names"},
    "relay": {"linux"},
    "image": {"linux"},
    "runtime": {"linux"},
    "store": set(),
    "engine": {"network", "wiring", "dns.publisher", "relay.publisher", "image", "runtime", "store"},
    "api": {"engine", "network.spec"},
    "client": {"api.schema"},
    "cli": {"client", "api.schema"},
}
PURE = (
    "errors", "values", "config", "network", "api.schema", "dns.wire", "dns.answer", "image.reference",
    "image.manifest", "image.config", "runtime.spec", "runtime.lifecycle", "linux.netlink.codec", "linux.netlink.rtnl",
    "cli.template",
)  # fmt: skip


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted((SRC / "sealane").rglob("*.py")):
        parts = path.relative_to(SRC / "sealane").with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """Everything that a module imports at its top level or inside functions, as dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = modules()


def ours(path: Path) -> set[str]:
    return {name.removeprefix("sealane.") for name in imports(path) if name.startswith("sealane.")}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("module", [m for m in MODULES if m and m != "daemon"])
def test_a_module_imports_only_what_its_package_may(module: str) -> None:
    package = module.split(".")[0]
    allowed = {package, "errors", "values", "VERSION", *TABLE[package]}
    wrong = {name for name in ours(MODULES[module]) if not any(within(name, item) for item in allowed)}

    assert not wrong, f"{module} imports {sorted(wrong)}"


def test_nobody_imports_the_composition_root() -> None:
    assert [m for m, path in MODULES.items() if any(within(name, "daemon") for name in ours(path))] == []


@pytest.mark.parametrize("module", [m for m in MODULES if any(within(m, pure) for pure in PURE)])
def test_pure_modules_do_no_io(module: str) -> None:
    banned = {name.split(".")[0] for name in imports(MODULES[module])} & PURE_BANNED

    assert not banned, f"{module} imports {sorted(banned)}"


def test_there_is_no_import_cycle() -> None:
    graph = {module: {_owner(name) for name in ours(path)} - {module, ""} for module, path in MODULES.items()}
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> None:
        assert module not in path, f"cycle: {' → '.join([*path[path.index(module) :], module])}"
        if module in done:
            return
        path.append(module)
        for other in sorted(graph.get(module, ())):
            visit(other)
        path.pop()
        done.add(module)

    for module in graph:
        visit(module)


def _owner(name: str) -> str:
    """The module that an imported name lies in."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name
