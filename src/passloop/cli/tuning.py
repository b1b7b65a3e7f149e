"""`tune` between the app and the engine: declares the run of a study, follows its trials, and tells what came of it.

What a trial is, which comes next and which is the best is decided in `apps.tune`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from passloop.apps.queue.environment import storable
from passloop.apps.tune.candidates import Box
from passloop.apps.tune.report.document import study_document
from passloop.apps.tune.report.lines import closing_lines, headings, trial_cells
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.stored import standing_of
from passloop.apps.tune.search.expander import budgets_of
from passloop.apps.tune.study import Study
from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.differing import say_what_lacks_here
from passloop.cli.exits import CliError, Exit
from passloop.cli.tables import Column, table
from passloop.cli.tune_following import Following
from passloop.cli.wording import ENDING
from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["Tune", "table_lines"]

Note = Callable[[int], None]


class Tune:
    """One start of a spec: its run is declared, or the one that is under way is joined; then followed and told."""

    def __init__(self, study: Study, *, home: str) -> None:
        self.study = study
        self._home = home
        self.run: Mapping[str, Any] | None = None

    def work(self, client: Client, note: Note) -> Standing:
        """Declare, follow to the end, and tell how the study stands. `note` is told the run."""
        study = self.study.on(box_of(client))
        with client.events() as events, Reader.open(Home(Path(self._home))) as reader:
            self.run = self._declare(client, study)
            note(int(self.run["id"]))
            Following(client, study, run=int(self.run["id"])).to_the_end(events, reader)
            return standing_of(reader, study)

    def document(self, standing: Standing) -> dict[str, Any]:
        """What `tune --json` ends with."""
        return study_document(standing, self.run)

    def _declare(self, client: Client, study: Study) -> Mapping[str, Any]:
        environment = storable(os.environ).stored
        box = [study.box.gpus, study.box.largest_mib]
        try:
            answer = client.post("/tune", {"study": study.wire(), "environment": environment, "box": box})
        except CliError as refused:
            if refused.exit_code != Exit.NEVER_FITS:
                raise
            say_what_lacks_here(client)
            hint = "change `resources` or the space: passloop plan shows what each candidate asks for"
            raise CliError(refused.message, hint=hint, exit_code=Exit.NEVER_FITS) from None
        run: Mapping[str, Any] = answer["run"]
        word = "joined" if answer["joined"] else "started"
        search = study.spec.search
        parallel = f", {search.max_parallel} at once" if search.max_parallel > 1 else ""
        most = f"at most {budgets_of(study).max_trials} trials{parallel}"
        streams.say(f"run {run['id']} {run['name']} {word}: {most}, {search.sampler}")
        if answer.get("ending"):
            streams.say(ENDING)
        return run


def box_of(client: Client) -> Box:
    """What the engine's machine has."""
    gpus = client.get("/gpus", timeout=60)["gpus"]
    return Box(gpus=len(gpus), largest_mib=max((int(gpu["vram_mib"]) for gpu in gpus), default=None))


def table_lines(standing: Standing, *, width: int | None) -> list[str]:
    """The table of all trials and what came of it."""
    columns = [Column(each.text, right=each.right, shrinks=each.shrinks) for each in headings(standing)]
    rows = [trial_cells(standing, trial) for trial in standing.trials]
    texts = [[cell.text for cell in row] for row in rows]
    colours = [[cell.colour for cell in row] for row in rows]
    lines = table(columns, texts, width=width, colours=colours) if rows else []
    return [*lines, "", *(streams.clean(line) for line in closing_lines(standing))]
