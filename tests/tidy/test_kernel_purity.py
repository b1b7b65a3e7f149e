"""The kernel is a function of its arguments: no clock, chance, files or threads; one setter of states."""

from __future__ import annotations

import ast
import sys

from tests.tidy.source import PACKAGE, dotted, imports, parse, python_files, show

KERNEL = PACKAGE / "kernel"
PURE = {
    "__future__",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "types",
    "typing",
}
# print, open and input act; hash differs from one process to the next and would break replay.
IMPURE_CALLS = {"print", "open", "input", "exec", "eval", "hash", "globals", "__import__", "breakpoint"}


def test_the_kernel_imports_nothing_that_acts() -> None:
    found = [
        f"{show(path)}:{line}: {name}"
        for path in python_files(KERNEL)
        for name, level, line in imports(parse(path))
        if level == 0 and name not in PURE and not name.startswith("passloop.kernel")
    ]
    assert not found, "\n".join(found)
    assert {name.split(".")[0] for name in PURE} <= sys.stdlib_module_names


def test_the_kernel_calls_nothing_that_acts() -> None:
    found = [
        f"{show(path)}:{node.lineno}: {dotted(node.func)}()"
        for path in python_files(KERNEL)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and dotted(node.func) in IMPURE_CALLS
    ]
    assert not found, "\n".join(found)


def test_the_kernel_counts_in_integers_where_it_decides_by_amounts() -> None:
    found = [
        f"{show(path)}:{node.lineno}: {node.value}"
        for path in (KERNEL / "amounts.py", KERNEL / "resources.py", KERNEL / "pools.py")
        if path.exists()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]
    assert not found, "\n".join(found)


def test_only_transitions_sets_the_state_of_a_task() -> None:
    found = [
        f"{show(path)}:{node.lineno}: {ast.unparse(node)}"
        for path in python_files(PACKAGE)
        if path != KERNEL / "transitions.py"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.stmt | ast.expr) and sets_a_task_state(node)
    ]
    assert not found, "\n".join(found)


def sets_a_task_state(node: ast.AST) -> bool:
    """True for `task.state = ...` and for `replace(..., state=TaskState....)` in its forms."""
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(
            isinstance(target, ast.Attribute) and target.attr == "state" and "task" in ast.unparse(target.value)
            for target in targets
        )
    if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in ("replace", "_replace", "setattr"):
        return any(keyword.arg == "state" and "TaskState" in ast.unparse(keyword.value) for keyword in node.keywords)
    return False
