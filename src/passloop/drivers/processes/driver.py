"""The driver for attempts that are processes: orders go to the zygote, reports come from the shims, records
are the truth.

Three ways tell that an attempt has ended, and the first one counts: the shim's report, the zygote's word
that a shim died untimely, and a descriptor of the shim that becomes readable. After the latter two the
records are read, and what the dead shim left behind is ended. Must never read an attempt's output, nor wait
for anything on the engine's loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from passloop.drivers import descriptors
from passloop.drivers.background import Background, to_the_loop
from passloop.drivers.base import Fail, Launch, LiveAttempt, Report
from passloop.drivers.forbidden import Forbidden
from passloop.drivers.identity import Process, open_process, process_json, send
from passloop.kernel.events import Exited, PauseChanged, Started, StartRefused, StrayGone
from passloop.kernel.ids import AttemptId
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import Outcome, OutcomeKind

from . import strays
from .attempts import Phase, ShimHold, Watch
from .cgroups import memory_parent
from .keeper.commands import PASSING
from .keeper.frames import join
from .keeper.reports import socket_path
from .launcher import Launcher, open_home
from .own_word import explained
from .reattach import Finding, ask_to_stop, look, outcome_of, process_of
from .spawn import build_order, environment_fields

__all__ = ["ProcessDriver"]

_HALTED = {"cancelled": OutcomeKind.CANCELLED, "timeout": OutcomeKind.TIMEOUT, "down": OutcomeKind.LOST}

Check = Callable[[Launch], StartRefused | None]
LockFds = Callable[[Allocation], Sequence[int]]

_DATAGRAM = 1 << 16
_KEPT_ENVIRONMENTS = 64
_ZYGOTE_TRIES = 3
_MOST_TRIES = 10
"""How often an order is sent again for which no process could be made, before the attempt is given back at no cost."""
_NO_ZYGOTE = "the process that starts attempts does not come up"


def _no_check(_launch: Launch) -> StartRefused | None:
    return None


def _no_fds(_allocation: Allocation) -> Sequence[int]:
    return ()


class ProcessDriver:
    """Runs attempts as processes, each under a shim that outlives the engine.

    `home` is the engine's home, an existing folder; the shims report to the socket `reports` in it. `check`
    takes a second look right before a launch and may refuse it. `inherit_fds` gives descriptors that the
    attempt's whole tree keeps open (device locks); they stay the caller's, who keeps them open at least
    until the attempt started. `open_files` is the soft limit of open files for shims and what they run, None
    for the engine's.
    """

    name = "processes"

    def __init__(
        self,
        home: Path,
        *,
        check: Check = _no_check,
        inherit_fds: LockFds = _no_fds,
        open_files: int | None = None,
        name: str = "processes",
    ) -> None:
        self.name = name
        self._home = home
        self._check = check
        self._inherit_fds = inherit_fds
        self._open_files = open_files
        self._folder = -1
        self._launcher: Launcher | None = None
        self._socket: socket.socket | None = None
        self._watches: dict[int, Watch] = {}
        self._shims: dict[Process, ShimHold] = {}
        self._forbidden = Forbidden()
        self._environments: dict[str, bytes] = {}
        self._background = Background()
        self._failed_starts = 0
        self._counts = dict.fromkeys(("launched", "ended", "lost", "zygote_starts"), 0)

    async def start(self, report: Report, *, failed: Fail = to_the_loop) -> None:
        """Bind the socket for reports and start the zygote, or leave nothing open."""
        self._report = report
        self._background.failed = failed
        try:
            self._open()
        except BaseException:
            await self.stop()
            raise

    def _open(self) -> None:
        self._folder = open_home(self._home)
        path = socket_path(self._folder)
        (self._home / "reports").unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(path)
        asyncio.get_running_loop().add_reader(self._socket, self._hear_shims)
        self._launcher = Launcher(
            self._folder, on_word=self._hear_zygote, on_end=self._zygote_ended, open_files=self._open_files
        )
        self._start_zygote()

    async def stop(self) -> None:
        """Stop watching. Attempts go on under their shims."""
        await self._background.stop()
        if self._launcher is not None:
            self._launcher.stop()
            self._launcher = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            (self._home / "reports").unlink(missing_ok=True)
        for hold in list(self._shims.values()):
            self._let_go(hold)
        self._watches.clear()
        self._environments.clear()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def launch(self, order: Launch) -> None:
        """Send the attempt's order to the zygote."""
        forbidden = self._forbidden.outcome(order.attempt)
        if forbidden is not None:
            self._refuse(order, forbidden)
            return
        refusal = self._check(order)
        if refusal is not None:
            self._report(refusal)
            return
        try:
            self._need_zygote()
            watch = self._prepare(order)
        except OSError as error:
            if error.errno in PASSING:
                self._background.spawn(self._launch_later(order))
            else:
                self._refuse(order, Outcome(OutcomeKind.LOST, message=f"{_NO_ZYGOTE}: {error}"))
            return
        except ValueError as error:
            self._refuse(order, Outcome(OutcomeKind.FAILURE, exit_code=126, message=str(error)))
            return
        self._watches[order.attempt] = watch
        self._counts["launched"] += 1
        self._send_order(watch)

    async def _launch_later(self, order: Launch) -> None:
        """Launch it when a want that passes may be over. Stopped meanwhile, it is forbidden, as before any launch."""
        await asyncio.sleep(descriptors.AGAIN_S)
        self.launch(order)

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        """Leave the wish to stop in the attempt's folder and wake its shim."""
        watch = self._watches.get(attempt)
        if watch is None:
            self._forbidden.add(attempt, reason)
            return
        watch.halted = reason
        try:
            ask_to_stop(watch.directory, grace=grace, reason=reason)
        except OSError:
            watch.forced = True  # no wish can be left there, so there is no polite way
        if watch.shim is None and watch.phase is Phase.RUNNING and watch.process is not None:
            self._watch_process(watch, Finding(watch.process))
        else:
            self._signal_halt(watch)

    def _signal_halt(self, watch: Watch) -> None:
        if watch.halted and watch.shim is not None:
            send(watch.shim.pidfd, signal.SIGKILL if watch.forced else signal.SIGTERM)

    async def reattach(self, attempts: Sequence[LiveAttempt]) -> None:
        """Settle each attempt by its records."""
        for live in attempts:
            watch = self._watches[live.attempt] = Watch.of_live(live, memory_parent())
            watch.settling = True
        await asyncio.gather(*(self._settle(self._watches[live.attempt]) for live in attempts))

    def statistics(self) -> Mapping[str, int]:
        """Counts since the start, and what is watched now."""
        phases = [watch.phase for watch in self._watches.values()]
        return self._counts | {"watched": len(phases), "strays": phases.count(Phase.STRAY)}

    def _prepare(self, order: Launch) -> Watch:
        lock_fds = self._inherit_fds(order.allocation)
        cgroup = memory_parent() if order.memory_limit else None
        watch = Watch.of_launch(order, cgroup)
        watch.frame = join(build_order(order, cgroup=cgroup, lock_fds=lock_fds).fields())
        watch.lock_fds = lock_fds
        if order.environment_id not in self._environments:
            self._keep_environment(order.environment_id, join(environment_fields(order)))
        watch.environment = self._environments[order.environment_id]
        return watch

    def _keep_environment(self, name: str, frame: bytes) -> None:
        assert self._launcher is not None
        if len(self._environments) >= _KEPT_ENVIRONMENTS:
            oldest = next(iter(self._environments))
            del self._environments[oldest]
            self._launcher.send(join([b"forget", os.fsencode(oldest)]))
        self._environments[name] = frame
        self._launcher.send(frame)

    def _send_order(self, watch: Watch) -> None:
        assert self._launcher is not None
        self._launcher.send(watch.frame, watch.lock_fds, refused=partial(self._settle_unstarted, watch))

    def _refuse(self, order: Launch, outcome: Outcome) -> None:
        self._report(Exited(order.attempt, order.epoch, outcome))

    def _start_zygote(self) -> None:
        """Start one and send it what it must know. Raises `OSError`."""
        assert self._launcher is not None
        self._counts["zygote_starts"] += 1
        self._launcher.start()
        ordered = [watch for watch in self._watches.values() if watch.phase is Phase.ORDERED]
        environments = [*self._environments.values(), *(watch.environment for watch in ordered)]
        for frame in filter(None, dict.fromkeys(environments)):
            self._launcher.send(frame)
        for watch in ordered:
            self._send_order(watch)

    def _need_zygote(self) -> None:
        """Start one if the last one was given up. Raises `OSError`."""
        assert self._launcher is not None
        if self._launcher.pid is None:
            self._start_zygote()

    def _hear_zygote(self, word: list[bytes]) -> None:
        what, attempt, why = word
        watch = self._watches.get(int(attempt))
        if what == b"ready":
            self._failed_starts = 0
        elif watch is None:
            return
        elif what == b"unforked":
            asyncio.get_running_loop().call_later(descriptors.AGAIN_S, self._order_again, watch, why.decode())
        elif what == b"gone":
            self._settle_soon(watch)

    def _order_again(self, watch: Watch, why: str) -> None:
        """No process could be made for an attempt, which is a want that passes: try again for a while."""
        if self._watches.get(watch.attempt) is not watch or watch.phase is not Phase.ORDERED:
            return
        assert self._launcher is not None
        watch.tries += 1
        if watch.halted or watch.tries > _MOST_TRIES:
            self._settle_unstarted(watch, f"no process could be made: {why}", passing=True)
        else:
            self._launcher.send(watch.environment)
            self._send_order(watch)

    def _zygote_ended(self, last_words: str) -> None:
        """Start another one and send again what has not begun: whichever shim makes the start record first
        runs. If none comes up, the next launch tries again.
        """
        self._failed_starts += 1
        self._hear_shims()
        if self._failed_starts > _ZYGOTE_TRIES:
            self._give_up_zygote(last_words)
            return
        try:
            self._start_zygote()
        except OSError as error:
            self._give_up_zygote(str(error), passing=error.errno in PASSING)

    def _give_up_zygote(self, why: str, *, passing: bool = False) -> None:
        self._failed_starts = 0
        for watch in self._watches.values():
            if watch.phase is Phase.ORDERED:
                self._settle_unstarted(watch, f"{_NO_ZYGOTE}: {why}", passing=passing)

    def _settle_unstarted(self, watch: Watch, why: str, *, passing: bool = False) -> None:
        """Nothing starts an attempt any more, but a shim of an earlier zygote may: its records tell."""
        watch.unstarted, watch.passing = why, passing
        self._settle_soon(watch)

    def _hear_shims(self) -> None:
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(_DATAGRAM)
            except BlockingIOError:
                return
            kind, _, text = data.partition(b"\n")
            try:
                record = json.loads(text)
            except ValueError:
                continue  # not from a shim of ours
            if isinstance(record, dict):
                self._hear_shim(kind, record)

    def _hear_shim(self, kind: bytes, record: dict[str, Any]) -> None:
        watch = self._watches.get(record.get("attempt", 0))
        if watch is None or watch.name != record.get("name"):
            return
        if kind == b"started":
            self._begin(watch, Finding(process_of(record)))
        elif kind == b"exited":
            outcome = outcome_of(record)
            if record.get("full") is True:
                self._report(PauseChanged(paused=True, reason=f"disk full: no room for attempts in {self._home}/runs"))
            if outcome is not None:
                self._end_as_told(watch, outcome, stray=bool(record.get("stray")))
        elif kind == b"taken" and watch.phase is Phase.ORDERED:
            self._settle_soon(watch)

    def _end_as_told(self, watch: Watch, outcome: Outcome, *, stray: bool) -> None:
        """Its shim has told its end; where the application's own word on it cannot be opened now, later."""
        try:
            outcome = explained(outcome, watch.directory)
        except OSError:
            self._settle_soon(watch)
        else:
            self._end(watch, outcome, stray=stray)

    def _begin(self, watch: Watch, finding: Finding) -> None:
        """The shim exists and has made the start record."""
        if watch.phase is not Phase.ORDERED or finding.process is None:
            return
        watch.phase = Phase.RUNNING
        watch.frame = watch.environment = b""
        self._report(Started(watch.attempt, watch.epoch, process_json(finding.process)))
        if not finding.recorded:  # else its shim may stand over another attempt by now
            self._watch_process(watch, finding)

    def _watch_process(self, watch: Watch, finding: Finding) -> None:
        """Notice the death of the attempt's shim from now on."""
        process = finding.process
        assert process is not None
        if watch.shim is not None:
            return
        watch.process = process
        try:
            hold = self._shims.get(process) or self._hold(process)
        except OSError:  # no descriptor is left for it; its shim tells its end all the same, unless that is killed
            asyncio.get_running_loop().call_later(descriptors.AGAIN_S, self._watch_again, watch, finding)
            return
        if hold is None:
            self._settle_soon(watch)
            return
        hold.watch, watch.shim = watch, hold
        self._signal_halt(watch)

    def _watch_again(self, watch: Watch, finding: Finding) -> None:
        if self._watches.get(watch.attempt) is watch:
            self._watch_process(watch, finding)

    def _hold(self, process: Process) -> ShimHold | None:
        pidfd = open_process(process)
        if pidfd is None:
            return None
        hold = ShimHold(process, pidfd)
        self._shims[process] = hold
        asyncio.get_running_loop().add_reader(pidfd, self._shim_died, hold)
        return hold

    def _shim_died(self, hold: ShimHold) -> None:
        self._let_go(hold)
        if hold.watch is not None:
            hold.watch.shim = None
            self._settle_soon(hold.watch)

    def _let_go(self, hold: ShimHold) -> None:
        asyncio.get_running_loop().remove_reader(hold.pidfd)
        os.close(hold.pidfd)
        del self._shims[hold.process]

    def _end(self, watch: Watch, outcome: Outcome, *, stray: bool = False) -> None:
        if watch.phase in (Phase.STRAY, Phase.ENDED):
            return
        self._counts["ended"] += 1
        self._counts["lost"] += outcome.kind is OutcomeKind.LOST
        watch.phase = Phase.STRAY if stray else Phase.ENDED
        if not stray:
            self._forget(watch)
        self._report(Exited(watch.attempt, watch.epoch, outcome, stray))

    def _settle_soon(self, watch: Watch) -> None:
        watch.unsettled = True
        if not watch.settling:
            watch.settling = True
            self._background.spawn(self._settle(watch))

    async def _settle(self, watch: Watch) -> None:
        """Find out from the records how it stands with an attempt; bring it to its end if its shim is gone.

        Whoever asks for this says `settling` at once, so that it is not begun twice. Where no descriptor is left to
        look with, it stays as it is until a later try.
        """
        watch.unsettled = True
        try:
            while watch.unsettled and watch.phase is not Phase.ENDED and not watch.outlasted:
                watch.unsettled = False
                finding = await asyncio.to_thread(look, watch.directory, watch.name)
                self._hear_shims()
                await self._settle_by(watch, finding)
        except OSError as error:
            if not descriptors.lacks_descriptor(error):
                raise
            asyncio.get_running_loop().call_later(descriptors.AGAIN_S, self._settle_if_watched, watch)
        finally:
            watch.settling = False

    def _settle_if_watched(self, watch: Watch) -> None:
        if self._watches.get(watch.attempt) is watch:
            self._settle_soon(watch)

    async def _settle_by(self, watch: Watch, finding: Finding) -> None:
        watch.process = finding.process or watch.process
        if watch.phase is Phase.ENDED:
            return
        if finding.process is not None:
            self._begin(watch, finding)
        if finding.recorded and finding.outcome is not None:
            self._end(watch, finding.outcome, stray=finding.stray)
        if watch.attempt not in self._watches:
            return
        if finding.alive:
            self._watch_process(watch, finding)
            return
        await self._bury(watch, finding)

    async def _bury(self, watch: Watch, finding: Finding) -> None:
        """The shim is gone without having proven its tree gone: end what it left, then say so."""
        left = await strays.end_all(watch.name, watch.process, watch.cgroup) if finding.begun else []
        if not left:
            strays.remove_group(watch.name, watch.cgroup)
        outcome = finding.outcome or Outcome(OutcomeKind.LOST, message="its shim is gone")
        again = descriptors.WANTED_AGAIN_MS if watch.passing else None
        if (watch.adopted or watch.passing) and not finding.begun:
            outcome = replace(outcome, engine_lost=True, retry_after=again)
        if watch.unstarted and not finding.begun:
            outcome = replace(outcome, message=watch.unstarted)
        if watch.forced:
            outcome = Outcome(_HALTED[watch.halted], message="killed: no wish to stop could be left in its folder")
        self._end(watch, outcome, stray=bool(left))
        if watch.phase is Phase.STRAY:
            watch.outlasted = True
            self._background.spawn(self._outlast(watch, left))

    async def _outlast(self, watch: Watch, left: Sequence[Process]) -> None:
        """Wait for what does not die. Nobody waits for this, the start of an engine least of all."""
        try:
            await strays.outlast(left, watch.name, watch.process, watch.cgroup)
        except OSError as error:
            if not descriptors.lacks_descriptor(error):
                raise
            asyncio.get_running_loop().call_later(descriptors.AGAIN_S, self._outlast_again, watch, left)
            return
        strays.remove_group(watch.name, watch.cgroup)
        watch.phase = Phase.ENDED
        self._forget(watch)
        self._report(StrayGone(watch.attempt, watch.epoch))

    def _outlast_again(self, watch: Watch, left: Sequence[Process]) -> None:
        if self._watches.get(watch.attempt) is watch:
            self._background.spawn(self._outlast(watch, left))

    def _forget(self, watch: Watch) -> None:
        if watch.shim is not None:
            if watch.shim.watch is watch:  # else it stands over the next one, which began before this end was told
                watch.shim.watch = None
            watch.shim = None
        self._watches.pop(watch.attempt, None)
