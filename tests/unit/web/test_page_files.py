"""The page's files: what was taken from others is what it says it is, and no text of users could become code."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[3] / "src" / "passloop" / "web" / "static"
BROWSER = Path(__file__).resolve().parents[2] / "browser"
MOST_COMPRESSED = 300 * 1024
LONGEST = 200
OWN = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.parts)
# Ways by which text becomes code or markup, or by which a style becomes one that the policy refuses.
DANGEROUS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySet|\beval\(|new Function|style=\""
)


def name_of(path: Path) -> str:
    return path.relative_to(STATIC).as_posix()


@pytest.mark.parametrize("folder", [STATIC / "vendor", BROWSER / "vendor"], ids=["page", "tests"])
def test_files_of_others_are_what_their_digests_say(folder: Path) -> None:
    told = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name in told}
    assert found == told
    assert {path.name for path in folder.iterdir()} - set(told) <= {"SHA256SUMS", "README.md"}
    assert any(name.endswith(".LICENSE") for name in told)


def test_all_of_the_page_is_small_when_it_is_compressed() -> None:
    sizes = {name_of(path): len(gzip.compress(path.read_bytes())) for path in STATIC.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= MOST_COMPRESSED, sizes


def test_no_file_of_the_page_makes_markup_of_text() -> None:
    found = [f"{name_of(path)}: {match.group()}" for path in OWN for match in DANGEROUS.finditer(path.read_text())]
    assert len(OWN) > 50
    assert not found, found


def test_files_of_the_page_are_short_and_say_what_they_are() -> None:
    bad = [
        name_of(path)
        for path in OWN
        if not path.read_text().startswith("// ") or len(path.read_text().splitlines()) > LONGEST
    ]
    assert not bad, bad


def test_modules_are_imported_by_paths_that_exist() -> None:
    imports = re.compile(r"""(?:^import .*?from|^} from|import\()\s*"([^"\n]+)\"""", re.MULTILINE)
    bad = [
        f"{name_of(path)}: {target}"
        for path in OWN
        for target in imports.findall(path.read_text())
        if not target.startswith(".") or not (path.parent / target).resolve().is_file()
    ]
    assert not bad, bad


def imported(path: Path, found: set[Path]) -> set[Path]:
    """A module and all that it cannot begin without."""
    if path not in found:
        found.add(path)
        for target in re.findall(r'^(?:import|export)[^;]*?from "([^"]+)"', path.read_text(), re.MULTILINE):
            imported((path.parent / target).resolve(), found)
    return found


def test_what_the_first_page_needs_is_fetched_in_one_go() -> None:
    """Without this list each module would be asked for when the one before it has come, six deep."""
    first = imported(STATIC / "main.js", imported(STATIC / "pages" / "tasks" / "tasks.js", set()))
    listed = re.findall(r'<link rel="modulepreload" href="/static/([^"]+)">', (STATIC / "index.html").read_text())
    assert sorted(listed) == sorted(name_of(path) for path in first if path.name != "main.js")


def test_the_document_has_no_script_or_style_of_its_own() -> None:
    text = (STATIC / "index.html").read_text()
    assert not re.findall(r"<style|style=|\son[a-z]+=|<script(?![^>]* src=)", text)
    for address in re.findall(r'(?:href|src)="/static/([^"]+)"', text):
        assert (STATIC / address).is_file(), address
