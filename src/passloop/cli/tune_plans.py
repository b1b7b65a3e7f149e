"""`plan` of a tune spec: the study, the machine, and the kernel's word on what can never fit there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from passloop.apps.queue.plan import NEVER, Box, never_fits
from passloop.apps.queue.wire import WireSpec, WireVariant
from passloop.apps.spec_file import SpecFile
from passloop.apps.tune import candidates
from passloop.apps.tune.candidates import Candidate
from passloop.apps.tune.plan import TunePlan, plan_of
from passloop.apps.tune.presence import missing_parts
from passloop.apps.tune.study import study_of_file
from passloop.kernel.ids import CPU, MEMORY
from passloop.store.estimates import learned_means
from passloop.store.home import Home

__all__ = ["tune_plan"]


def tune_plan(file: SpecFile, home: str, box: Callable[[], Box], *, first: int | None) -> TunePlan:
    """Plan the study of `file` on the machine that `box` finds; the `first` candidates are listed (None: all). Raises
    `SpecError`.
    """
    study = study_of_file(file, cwd=Path.cwd())
    missing = missing_parts(file, study, environ=os.environ)
    found = box()
    largest = max((device.vram_mib for device in found.devices), default=None)
    study = study.on(candidates.Box(gpus=len(found.devices), largest_mib=largest))
    plan = plan_of(study, learned=learned_means(Home(Path(home))), first=first)
    plan = replace(plan, missing=file.error(missing).problems if missing else ())
    if plan.impossible or not plan.first:
        return plan
    least = min(plan.first, key=lambda each: each.gpus)
    why = never_fits(WireSpec(request=(_variant(least, exclusive=study.spec.resources.exclusive),)), found)
    return plan if why is None else replace(plan, impossible=(why.removeprefix(NEVER),))


def _variant(candidate: Candidate, *, exclusive: bool) -> WireVariant:
    amounts = {CPU: candidate.cpus_milli, MEMORY: candidate.mem_mib or 0}
    return WireVariant(
        gpus=candidate.gpus,
        vram_mib=candidate.vram_mib,
        amounts={name: amount for name, amount in amounts.items() if amount},
        exclusive=exclusive,
    )
