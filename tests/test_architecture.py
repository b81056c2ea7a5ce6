"""The arrows between folders, the purity of what is pure, and that our packages are the ones imported."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from importlinter.cli import lint_imports

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
OURS = ("schemas", "producers", "streams", "services")
CONTRACTS = configparser.ConfigParser()
CONTRACTS.read(ROOT / ".importlinter", encoding="utf-8")
PREFIX = "importlinter:contract:"
PURE = CONTRACTS[f"{PREFIX}pure"]["source_modules"].split()


def modules(name: str) -> list[Path]:
    """The files of a module, or of a package and all that is in it."""
    place = ROOT.joinpath(*name.split("."))
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def imports(path: Path) -> Iterator[str]:
    """What a file imports, wherever in it: names of modules, and of what is taken from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# -- arrows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "contract", [name.removeprefix(PREFIX) for name in CONTRACTS.sections() if name.startswith(PREFIX)]
)
def test_imports_keep_the_contract(contract, monkeypatch, capsys):
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)  # it switches off the loggers of other tests
    monkeypatch.chdir(ROOT)
    options = {"limit_to_contracts": (contract,), "no_cache": True, "no_logo": True}
    status = lint_imports(config_filename=str(ROOT / ".importlinter"), **options)
    assert status == 0, capsys.readouterr().out


def may_wire(path: Path) -> bool:
    return path.name == "cli.py" or path.name.endswith("_commands.py")


def test_only_commands_wire_producers_and_streams_together():
    wiring = set()
    for path in modules("services"):
        found = {name.split(".")[0] for name in imports(path)}
        if {"producers", "streams"} <= found:
            wiring.add(path.name)
    assert {name for name in wiring if not may_wire(Path(name))} == set()


def test_only_commands_know_commands():
    for package in OURS:
        for path in modules(package):
            known = [name for name in imports(path) if name.startswith("services.") and "_commands" in name]
            assert may_wire(path) or not known, f"{path.relative_to(ROOT)} imports {known}"


# -- purity --------------------------------------------------------------------------------------------------


def test_the_pure_modules_are_there():
    assert len([path for name in PURE for path in modules(name) if path.stat().st_size]) >= 35
    assert all(path.exists() for name in PURE for path in modules(name))


IMPURE = {"now", "today", "utcnow", "default_rng", "RandomState", "SeedSequence", "getenv", "environ", "urandom"}
"""Ways to the clock, to chance and to the environment through modules that are allowed otherwise."""
GLOBAL_DRAWS = {
    "choice",
    "gamma",
    "integers",
    "lognormal",
    "normal",
    "permutation",
    "poisson",
    "rand",
    "randint",
    "shuffle",
}


@pytest.mark.parametrize("path", [path for name in PURE for path in modules(name)], ids=lambda path: path.stem)
def test_pure_code_asks_neither_clock_nor_chance_nor_environment(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in IMPURE, f"line {node.lineno}"
            if node.attr in GLOBAL_DRAWS:
                assert ast.unparse(node.value) != "np.random", f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom):
            assert IMPURE.isdisjoint(alias.name for alias in node.names), f"line {node.lineno}"
        if isinstance(node, ast.Name):
            assert node.id not in {"open", "print", "input"}, f"line {node.lineno}"


# -- ours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", OURS)
def test_our_packages_are_imported_and_no_strangers_of_the_same_name(package, tmp_path):
    """PyPI has packages called ``services`` and ``schemas``."""
    code = f"import {package}; print({package}.__file__)"
    command = [sys.executable, "-P", "-c", code]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(found) == ROOT / package / "__init__.py"
