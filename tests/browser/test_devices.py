"""The page of devices and endpoints: what is kept out or closed and how it is let in again; and, on a machine that NVML
shows (its stand-in), curves and processes of others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from passloop.cli.client import Client
from tests.support.browsing import Visit, endpoint, suffer, visits
from tests.support.command_line import Box, ended_boxes
from tests.support.fake_nvml.machine import FakeMachine, build, gpu

ONE_ANSWER = """
generate: one
rows: 1
endpoints: {there: {base_url: "URL", max_in_flight: 1}}
models: {m: {endpoint: there, model: m, params: {max_tokens: 4}}}
columns: [{name: text, kind: llm_text, model: m, prompt: hello}]
"""


@pytest.fixture
def shown(tmp_path: Path) -> FakeMachine:
    """A machine with two GPUs, one of them busy."""
    machine = FakeMachine(tmp_path / "machine")
    machine.show(gpu("a", 1, "util=87", "power=412000"), gpu("b", 2))
    return machine


@pytest.fixture
def real(tmp_path: Path, shown: FakeMachine) -> Iterator[Box]:
    """A home with a daemon on these GPUs."""
    library = build(tmp_path)
    with ended_boxes(tmp_path) as box:
        del box.environment["PASSLOOP_VIRTUAL_GPUS"]
        locks = tmp_path / "locks"
        locks.mkdir()
        locks.chmod(0o1777)
        box.environment |= {"LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML": str(shown.file)}
        box.environment["PASSLOOP_LOCK_DIR"] = str(locks)
        assert box.run("up").code == 0
        yield box


@pytest.mark.large
@pytest.mark.timeout(120)
def test_curves_of_devices_are_drawn_for_the_task_that_held_them(browser: Any, real: Box) -> None:
    """Devices are looked at every five seconds, so this takes a task of some length."""
    (task,) = real.submit("-g", "2", "--name", "busy", "--", "sleep", "16")
    with visits(browser, real) as visit:
        visit.go("#/devices", ".device")
        visit.see("held by")
        visit.see("busy 87 %")
        real.run("wait", str(task))
        visit.page.set_default_timeout(30_000)
        visit.go(f"#/tasks/{task}", ".uplot canvas")
        for title in ("Utilisation", "Memory in use", "Power"):
            visit.see(title)
        assert drawn(visit) > 100
        visit.go("#/devices", ".uplot canvas")
        visit.check_axe()
        visit.check_calm()


def test_a_gpu_that_others_use_names_them(browser: Any, real: Box, shown: FakeMachine) -> None:
    shown.show(gpu("a", 1), gpu("b", 2, "used=41000"), f"compute pid={os.getpid()} used=41000")
    (task,) = real.submit("-g", "2", "--", "true")
    with visits(browser, real) as visit:
        visit.go("#/devices", ".device")
        visit.see(f"not ours: pid {os.getpid()}")
        visit.go(f"#/tasks/{task}", ".reason")
        visit.check_calm()


def test_a_quarantined_gpu_is_vouched_for_and_used_again(visit: Visit, home: Box) -> None:
    suffer(home, GPU_virtual_1={"fault": "it fell off the bus"})
    (task,) = home.submit("-g", "2", "--", "true")
    visit.go("#/devices", ".device")
    visit.see("it fell off the bus")
    assert visit.page.get_by_role("button", name="Release").count() == 1
    home.run("cancel", str(task))  # nobody waits for it now, so nobody looks at it again
    suffer(home)
    visit.page.get_by_role("button", name="Release").click()
    visit.see("You vouch for it", within="dialog")
    visit.page.locator("dialog").get_by_role("button", name="Release").click()
    visit.page.locator(".device .tag", has_text="quarantined").wait_for(state="detached")
    assert [gpu["state"] for gpu in home.json("gpus")["gpus"]] == ["available", "available"]
    assert home.run("run", "-g", "2", "--", "true").code == 0


def test_a_closed_endpoint_is_opened_by_hand_and_asked_again(visit: Visit, home: Box) -> None:
    script = home.folder / "script.json"
    script.write_text(json.dumps({"default": {"latency": 1, "faults": [{"last": 1, "retry_after": 3600}]}}))
    with endpoint("--script", str(script)) as url:
        run = Client(str(home.home)).post("/specs", {"text": ONE_ANSWER.replace("URL", url), "cwd": str(home.folder)})
        visit.go("#/devices", ".pool")
        visit.see("cooling for 1 h")
        visit.page.get_by_role("button", name="Open now").click()
        visit.see("the next attempt tries it", within=".messages")
        home.run("wait", f"@{run['run']['id']}")
        visit.page.get_by_role("button", name="Open now").wait_for(state="detached")
        visit.go("#/now", ".lane")
        visit.go("#/devices", ".pool")
        visit.see("answered: 1")
        visit.see("429: too fast: 1")


def drawn(visit: Visit) -> int:
    """How many dots of a curve's canvas have a colour."""
    return int(
        visit.page.locator(".uplot canvas").first.evaluate(
            "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
            ".filter((value, place) => place % 4 === 3 && value > 0).length"
        )
    )
