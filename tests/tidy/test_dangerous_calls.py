"""Nothing here runs text as code or as a shell, mocks what is there, or sleeps until something is true."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.tidy.source import PACKAGE, ROOT, TESTS, dotted, imports, parse, python_files, show

NO_IMPORTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "unittest.mock", "mock"}
NO_CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "yaml.load",
}
NO_SLEEPS = {"time.sleep", "asyncio.sleep", "anyio.sleep"}


def everywhere() -> list[Path]:
    return [*python_files(PACKAGE), *python_files(TESTS), *python_files(ROOT / "examples")]


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(parse(path)) if isinstance(node, ast.Call)]


def test_nothing_imports_what_runs_data_as_code() -> None:
    found = [
        f"{show(path)}:{line}: {name}"
        for path in everywhere()
        for name, level, line in imports(parse(path))
        if level == 0 and (name in NO_IMPORTS or name.split(".")[0] in NO_IMPORTS)
    ]
    assert not found, "\n".join(found)


def test_nothing_runs_text_as_code_or_as_a_shell() -> None:
    found = [
        f"{show(path)}:{call.lineno}: {ast.unparse(call)[:80]}"
        for path in everywhere()
        for call in calls(path)
        if dotted(call.func) in NO_CALLS or any(is_shell(keyword) for keyword in call.keywords)
    ]
    assert not found, "\n".join(found)


def test_no_test_sleeps() -> None:
    found = [
        f"{show(path)}:{call.lineno}: {ast.unparse(call)}"
        for path in python_files(TESTS)
        for call in calls(path)
        if dotted(call.func) in NO_SLEEPS and not is_zero(call)
    ]
    assert not found, "\n".join(found)


def is_shell(keyword: ast.keyword) -> bool:
    return keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)


def is_zero(call: ast.Call) -> bool:
    """`asyncio.sleep(0)` gives others a turn and waits for nothing."""
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def test_no_broad_handler_swallows_what_went_wrong() -> None:
    found = [
        f"{show(path)}:{node.lineno}: except {ast.unparse(node.type) if node.type else ''}"
        for path in python_files(PACKAGE)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ExceptHandler) and is_broad(node) and swallows(node)
    ]
    assert not found, "\n".join(found)


def is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or dotted(handler.type) in ("Exception", "BaseException")


def swallows(handler: ast.ExceptHandler) -> bool:
    """True if the handler does nothing, or only logs."""
    return all(isinstance(step, ast.Pass | ast.Continue) or is_logging(step) for step in handler.body)


def is_logging(step: ast.stmt) -> bool:
    if not (isinstance(step, ast.Expr) and isinstance(step.value, ast.Call)):
        return False
    return any(part.startswith("log") for part in dotted(step.value.func).split("."))
