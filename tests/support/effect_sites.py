"""Reads from the source where passloop does something to the world: the net below what the traces of scenarios show.

Told are the same words as in a trace (`effects.py`), `store/backup.py:copy_store rename`, and how often each stands
there. What no trace can show has words of its own: `write` into an open file, `sql` that opens or ends a transaction by
hand, `with` a connection, and the writing connection `alone`, outside a transaction, where a statement is one itself.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import passloop

__all__ = ["ROOMS", "sites"]

ROOMS = ("store", "engine", "drivers", "apps")
PACKAGE = Path(passloop.__path__[0])
BY_NAME = {
    "rename": "rename", "replace": "rename", "renames": "rename", "_renameat2": "rename", "move": "rename",
    "unlink": "unlink", "remove": "unlink", "removedirs": "rmdir", "rmdir": "rmdir", "rmtree": "rmtree",
    "link": "link", "hardlink_to": "link", "symlink": "symlink", "symlink_to": "symlink",
    "mkdir": "mkdir", "makedirs": "mkdir", "mkdtemp": "mkdir", "TemporaryDirectory": "mkdir",
    "truncate": "truncate", "ftruncate": "truncate",
    "kill": "signal", "killpg": "signal", "pidfd_send_signal": "signal", "send_signal": "signal", "terminate": "signal",
    "fork": "fork", "forkpty": "fork", "posix_spawn": "spawn", "posix_spawnp": "spawn", "Popen": "spawn",
    "create_subprocess_exec": "spawn", "create_subprocess_shell": "spawn",
    "sendto": "send", "sendmsg": "send",
    "pwrite": "write", "writev": "write", "pwritev": "write", "posix_fallocate": "write", "sendfile": "write",
    "mkstemp": "create", "mkfifo": "create", "mknod": "create", "touch": "create", "write_text": "create",
    "write_bytes": "create", "NamedTemporaryFile": "create", "copyfile": "create", "copy": "create", "copy2": "create",
    "copytree": "create",
}  # fmt: skip
OF_THE_SYSTEM = {"remove", "replace", "rename", "link", "truncate", "kill", "copy", "move", "symlink", "write", "run"}
"""Names that other things have, too: these count for `os`, `shutil` and `subprocess`, or for what looks like a path."""
SYSTEM = {"os", "shutil", "subprocess", "signal"}
OPENS = {"open", "fdopen", "open_own"}
LOOKED_AT = {"transaction", "execute", "executemany", "_Transaction", *OPENS, "write", "run", "check_output"}
"""Names that tell more with what they are given."""
BY_HAND = re.compile(r"\s*(BEGIN|COMMIT|END|SAVEPOINT|RELEASE|ROLLBACK)\b", re.IGNORECASE)
NO_CONNECTION = {"self._reading", "self._lock"}
"""Locks, which the store enters by their bare names; it must enter no connection so."""


def sites() -> Counter[str]:
    """Every place, and how often it is there."""
    found: Counter[str] = Counter()
    for path in sorted(path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.update(f"{path.relative_to(PACKAGE)}:{what}" for what in _File(text).verbs() if _counts(path, what))
    return found


def _is_the_writer(node: ast.AST) -> bool:
    """Whether it is the writing connection that is used here."""
    return isinstance(node, ast.Attribute) and node.attr == "_writer" and isinstance(node.ctx, ast.Load)


def _opens_a_transaction(node: ast.AST) -> bool:
    opened = [each.context_expr for each in node.items] if isinstance(node, ast.With) else []
    return any(isinstance(each, ast.Call) and ast.unparse(each.func) == "transaction" for each in opened)


def _counts(path: Path, what: str) -> bool:
    """Only the store has connections."""
    return not what.endswith((" with", " alone")) or path.relative_to(PACKAGE).parts[0] == "store"


class _File:
    """One file of the source."""

    def __init__(self, text: str) -> None:
        self._tree = ast.parse(text)
        nodes = ast.walk(self._tree) if "O_CREAT" in text else ()
        flags = (node for node in nodes if isinstance(node, ast.Assign))
        self._creating = {ast.unparse(node.targets[0]) for node in flags if "O_CREAT" in ast.unparse(node.value)}

    def verbs(self) -> Iterator[str]:
        """`function verb` of each effect."""
        yield from self._inside(self._tree, "")

    def _inside(self, node: ast.AST, name: str, *, covered: bool = False) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            is_named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            inner = f"{name}.{child.name}".lstrip(".") if is_named else name  # type: ignore[attr-defined]
            verb = self._verb(child) or ("alone" if not covered and _is_the_writer(child) else "")
            if verb:
                yield f"{inner or '<module>'} {verb}"
            yield from self._inside(child, inner, covered=covered or _opens_a_transaction(child))

    def _verb(self, node: ast.AST) -> str:
        if isinstance(node, ast.withitem):
            bare = isinstance(node.context_expr, ast.Name | ast.Attribute)
            return "with" if bare and ast.unparse(node.context_expr) not in NO_CONNECTION else ""
        if not isinstance(node, ast.Call):
            return ""
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name not in BY_NAME and name not in LOOKED_AT:
            return ""
        whole = ast.unparse(node.func)
        owner = whole.rpartition(".")[0]
        words = [*node.args, *(word.value for word in node.keywords)]
        if name == "transaction":
            return "" if node.keywords else "commit"
        if any(isinstance(word, ast.Constant) and BY_HAND.match(str(word.value)) for word in words[:1]):
            return "sql" if name in ("execute", "executemany", "_Transaction") else ""
        if name in OPENS:
            is_new = self._creates(words) if owner == "os" or name == "open_own" else self._writes(words)
            return "create" if is_new else ""
        if whole in ("os.write", "subprocess.run", "subprocess.check_output"):
            return "write" if whole == "os.write" else "spawn"
        if name in OF_THE_SYSTEM and owner not in SYSTEM and not self._looks_like_a_path(owner, name, node):
            return ""
        return BY_NAME.get(name, "")

    @staticmethod
    def _looks_like_a_path(owner: str, name: str, node: ast.Call) -> bool:
        if name in ("rename", "replace"):
            return bool(owner) and len(node.args) == 1 and not node.keywords
        return name == "kill" and not node.args

    @staticmethod
    def _writes(words: list[ast.expr]) -> bool:
        return any(
            isinstance(word, ast.Constant)
            and re.fullmatch("[rwaxbt+]{1,3}", str(word.value))
            and set(str(word.value)) & set("wax+")
            for word in words
        )

    def _creates(self, words: list[ast.expr]) -> bool:
        text = [ast.unparse(word) for word in words[1:]]
        return any("O_CREAT" in word or word in self._creating for word in text)
