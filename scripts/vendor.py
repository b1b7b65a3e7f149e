"""Fetches the libraries of the page from the npm registry and writes them beside it: `python scripts/vendor.py`.

The versions stand here; what lies in the folder is what this writes, byte for byte (a test compares the digests in
`SHA256SUMS`). Two changes are made, both because the page allows no inline script and so no import map: a module is
imported by its path, and uPlot's small build is made a module. Needs `npm`; neither pip nor the page needs it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "src" / "passloop" / "web" / "static" / "vendor"
TESTS = ROOT / "tests" / "browser" / "vendor"


class Package(NamedTuple):
    """One package: where it goes, its files by the name they get, and what is replaced in a file."""

    name: str
    version: str
    folder: Path
    files: dict[str, str]
    replaced: tuple[tuple[str, str], ...] = ()
    appended: str = ""


PACKAGES = (
    Package(
        "preact",
        "11.2.0",
        PAGE,
        {"preact.js": "dist/preact.mjs", "hooks.js": "hooks/dist/hooks.mjs", "preact.LICENSE": "LICENSE"},
        replaced=(('from"preact"', 'from"./preact.js"'), ('from "preact"', 'from "./preact.js"')),
    ),
    Package("htm", "3.1.1", PAGE, {"htm.js": "dist/htm.mjs", "htm.LICENSE": "LICENSE"}),
    Package(
        "uplot",
        "1.6.32",
        PAGE,
        {"uplot.js": "dist/uPlot.iife.min.js", "uplot.css": "dist/uPlot.min.css", "uplot.LICENSE": "LICENSE"},
        appended="\nexport default uPlot;\n",
    ),
    Package("axe-core", "4.14.1", TESTS, {"axe.min.js": "axe.min.js", "axe.LICENSE": "LICENSE"}),
)


def main() -> int:
    """Fetch everything; 0 if the folders hold what `SHA256SUMS` said before, 1 if something is new or different."""
    known = {folder: _sums(folder) for folder in (PAGE, TESTS)}
    with tempfile.TemporaryDirectory() as scratch:
        for package in PACKAGES:
            _unpack(package, Path(scratch))
    changed = [folder for folder in known if _written(folder) != known[folder]]
    for folder in changed:
        print(f"{folder.relative_to(ROOT)}: SHA256SUMS was written anew; look at the difference before you commit it")
    return 1 if changed else 0


def _unpack(package: Package, scratch: Path) -> None:
    """Fetch one package and take from it the files that are wanted."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is missing: it is wanted only to fetch the page's libraries anew")
    wanted = f"{package.name}@{package.version}"
    subprocess.run([npm, "pack", "--silent", wanted], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    package.folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(scratch / f"{package.name}-{package.version}.tgz") as archive:
        for name, path in package.files.items():
            member = archive.extractfile(f"package/{path}")
            assert member is not None, path
            (package.folder / name).write_bytes(_changed(package, name, member.read()))


def _changed(package: Package, name: str, content: bytes) -> bytes:
    """The file as the page takes it: no map of its source, imports by path."""
    if not name.endswith(".js"):
        return content
    text = content.decode("utf-8")
    for old, new in package.replaced:
        text = text.replace(old, new)
    lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
    return ("\n".join(lines) + "\n" + package.appended.lstrip("\n")).encode("utf-8")


def _sums(folder: Path) -> str:
    file = folder / "SHA256SUMS"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _written(folder: Path) -> str:
    """Write `SHA256SUMS` of a folder; its text."""
    files = sorted(path for path in folder.iterdir() if path.name not in ("SHA256SUMS", "README.md"))
    text = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / "SHA256SUMS").write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    sys.exit(main())
