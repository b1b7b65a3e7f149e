"""Takes the pictures of the page that the documents show: `python docs/pictures/take.py`, some two minutes.

A home of its own with eight virtual GPUs, a sweep, a matrix, a study, a dataset from an endpoint that misbehaves, work
that waits for each other; then Chromium looks at each page. Nothing outside a temporary folder and `_static/page/` is
written. The pictures show that folder: `--folder /home/me/runs` makes and removes one with a name that is nobody's.
Needs the `dev` extra and the system's chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parent / "_static" / "page"
PROGRAM = [sys.executable, "-m", "passloop.cli"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZE = {"width": 1280, "height": 800}
WHOLE = ("plots", "tune-load", "tune-parameters", "generate-row", "generate-endpoints")
TRAIN = ["python", "train.py"]


class World:
    """A home with work in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PASSLOOP_")},
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "PASSLOOP_HOME": str(folder / "home"),
            "PASSLOOP_VIRTUAL_GPUS": "8x80GiB",
            "PASSLOOP_CPUS": "16",
        }

    def run(self, *words: str) -> str:
        """Run a command to its end, whatever that is; what it printed."""
        done = subprocess.run(
            [*PROGRAM, *words], env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False
        )
        return done.stdout

    def submit(self, *words: str) -> int:
        """Submit one training; its id."""
        return int(json.loads(self.run("submit", "--json", *words))["tasks"][0])

    def fill(self, url: str) -> subprocess.Popen[bytes]:
        """Runs of every kind, the short ones to their end; the dataset is still being made, by the process returned."""
        text = (self.folder / "generate.yaml").read_text().replace("http://127.0.0.1:PORT/v1", url)
        (self.folder / "generate.yaml").write_text(text)
        self.run("up")
        making = subprocess.Popen(
            [*PROGRAM, "generate", "generate.yaml", "--json"],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.run("submit", "sweep.yaml")
        self.run("bench", "bench.yaml")
        self.run("tune", "tune.yaml")
        self.run("wait", "@resnet-depth")
        usual, pretrain = [*TRAIN, "run", "40", "24", "0.001", "1"], ["--group", "vision/pretrain"]
        large = ["-g", "4", "--vram", "70GiB", "--name", "pretrain-1b", "--time-limit", "6h", *pretrain]
        first = self.submit(*large, "--", *TRAIN, "pretrain-1b", "900", "24", "0.001", "1")
        self.submit("-g", "1", "--name", "evaluate-1b", "--after", str(first), *pretrain, "--", *usual)
        shards = ["-g", "1", "--group", "text/tokenise", "--name", "tokenise", "--array", "1-9"]
        self.submit(*shards, "--", *TRAIN, "shard-{index}", "45", "24", "0.001", "1")
        self.submit("-g", "8", "--name", "merge", "--group", "text", "--hold", "--", *usual)
        return making


@contextmanager
def workplace(asked: Path | None) -> Iterator[Path]:
    """The folder to work in, gone afterwards; a temporary one if none is asked for."""
    if asked is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    asked.mkdir(parents=True)
    try:
        yield asked
    finally:
        shutil.rmtree(asked)


@contextmanager
def endpoint(folder: Path) -> Iterator[str]:
    """An endpoint that refuses, fails and answers; its URL."""
    words = [sys.executable, "-m", "passloop.testing.endpoint", "--script", "endpoint.json"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()


def places(world: World) -> list[tuple[str, str, str]]:
    """Each picture: its name, its place in the page, and what has to be there first."""
    tasks = json.loads(world.run("ls", "--json"))["tasks"]
    runs = {task["run"]["name"]: task["run"]["id"] for task in tasks}
    running = next(task["id"] for task in tasks if task["name"] == "pretrain-1b")
    sweep, bench, tune, made = (runs[name] for name in ("resnet-depth", "kv-cache", "serve-llama", "support-tickets"))
    return [
        ("now", "#/now?span=5m", ".lane rect.bar"),
        ("tasks", "#/tasks", ".line[data-task]"),
        ("task", f"#/tasks/{running}", ".log .row"),
        ("runs", "#/runs", "table.grid tbody tr"),
        ("sweep", f"#/runs/{sweep}", "table.grid tbody tr"),
        ("compare", f"#/runs/{sweep}?view=compare", "table.grid"),
        ("plots", f"#/runs/{sweep}?view=plots", "svg.parallel"),
        ("bench", f"#/runs/{bench}", "table.heat"),
        ("bench-pareto", f"#/runs/{bench}?view=pareto", "svg.chart .dot"),
        ("tune", f"#/runs/{tune}", "table.grid tbody tr"),
        ("tune-load", f"#/runs/{tune}?view=load", "svg.chart .limit-name"),
        ("tune-front", f"#/runs/{tune}?view=front", "svg.chart .dot"),
        ("tune-parameters", f"#/runs/{tune}?view=all", "svg.parallel text.title"),
        ("generate", f"#/runs/{made}", "svg.dag"),
        ("generate-row", f"#/runs/{made}/row/3", ".turn"),
        ("generate-endpoints", f"#/runs/{made}?view=endpoints", "svg.chart"),
        ("devices", "#/devices", ".device"),
    ]


def take(world: World, browser: Any) -> None:
    """All pictures, and Now in the dark and on a phone."""
    for scheme, size, only, suffix in (
        ("light", SIZE, None, ""),
        ("dark", SIZE, ("now", "bench"), "-dark"),
        ("light", {"width": 390, "height": 780}, ("now", "tasks"), "-phone"),
    ):
        context = browser.new_context(viewport=size, color_scheme=scheme, timezone_id="Europe/Berlin", locale="en-GB")
        page = context.new_page()
        page.goto(json.loads(world.run("ui", "--json"))["url"])
        page.wait_for_selector("header.shell")
        for name, place, wait in places(world):
            if only is None or name in only:
                page.evaluate("place => { location.hash = place; }", place)
                page.wait_for_selector(wait)
                page.locator(".bone").first.wait_for(state="detached")
                page.screenshot(path=PICTURES / f"{name}{suffix}.png", full_page=name in WHOLE and not suffix)
        if only is None:
            take_new(page)
        context.close()


def take_new(page: Any) -> None:
    """The form of a command with its plan, and a spec with a mistake."""
    page.evaluate("location.hash = '#/new'")
    page.fill("textarea[name=command]", "python train.py --fold {index}")
    page.fill("input[name=array]", "1-20")
    page.fill("input[name=vram]", "40GiB")
    page.fill("input[name=max_parallel]", "3")
    page.get_by_text("Each asks for").wait_for()
    page.locator("button.main:enabled").wait_for()
    page.screenshot(path=PICTURES / "new.png")
    page.evaluate("location.hash = '#/new?view=spec'")
    text = (HERE / "sweep.yaml").read_text().replace("matrix:", "matirx:")
    page.fill("textarea[name=spec]", text)
    page.get_by_text("To be mended").wait_for()
    page.screenshot(path=PICTURES / "new-spec.png")


def main() -> int:
    """Take them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, help="where to work; must not be there yet")
    asked = parser.parse_args().folder
    PICTURES.mkdir(parents=True, exist_ok=True)
    with workplace(asked) as folder:
        for path in HERE.iterdir():
            if path.is_file():
                shutil.copy(path, folder)
        world = World(folder)
        with endpoint(folder) as url, sync_playwright() as player:
            browser = player.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            making = None
            try:
                making = world.fill(url)
                take(world, browser)
            finally:
                world.run("down", "--now")
                browser.close()
                if making is not None:
                    making.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
