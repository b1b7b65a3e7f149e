"""Reads the project's own source for the tidy tests. Parses each file once; changes nothing."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "passloop"
TESTS = ROOT / "tests"

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


class Named(NamedTuple):
    """A name that this project gives to something, and the line where it does."""

    name: str
    line: int


def python_files(folder: Path) -> list[Path]:
    """Every Python file under `folder`, in a stable order."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def show(path: Path) -> str:
    """The path as a person would type it from the project's root."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Every function with its qualified name (`Class.method`)."""
    yield from _functions(tree, "")


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        name = f"{prefix}{child.name}" if named else prefix  # type: ignore[attr-defined]
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, child
        yield from _functions(child, f"{name}." if named else prefix)


def depth(node: ast.AST) -> int:
    """How deep blocks are nested in a function: `elif` is not deeper, a function inside counts for itself."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        deepest = max(deepest, depth(child) + (isinstance(child, BLOCKS) and not _is_elif(node, child)))
    return deepest


def _is_elif(parent: ast.AST, child: ast.AST) -> bool:
    return isinstance(parent, ast.If) and isinstance(child, ast.If) and parent.orelse == [child]


def parameters(function: Function) -> int:
    """How many parameters a caller sees (without `self` or `cls`)."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return len([argument for argument in arguments if argument.arg not in ("self", "cls")])


def given_names(path: Path) -> Iterator[Named]:
    """The names that a file gives: itself, classes, functions, parameters, variables and attributes."""
    yield Named(path.stem, 1)
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield Named(node.name, node.lineno)
        elif isinstance(node, ast.arg):
            yield Named(node.arg, node.lineno)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield Named(node.id, node.lineno)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield Named(node.attr, node.lineno)


def words(name: str) -> list[str]:
    """The lower-case words of a snake_case or CamelCase name; dunder names have none."""
    if name.startswith("__") and name.endswith("__"):
        return []
    return [word.lower() for word in CAMEL.findall(name)]


def imports(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Imported modules as (dotted name, level of a relative import, line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level, node.lineno


def dotted(node: ast.AST) -> str:
    """`a.b.c` as written, or an empty string for anything that is not a plain dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        start = dotted(node.value)
        return f"{start}.{node.attr}" if start else ""
    return ""
