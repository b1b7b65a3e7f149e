"""The start records of a worker's cells: one file in the worker's folder, and a link to it for each cell that begins.

A link refuses an existing name as the rename of a record of its own does, so whoever makes `start.json` first decides
as for any attempt; but a new file for each cell would cost more than everything else that is recorded of it. Must
never write to a record that was linked once.
"""

from __future__ import annotations

import errno
import os

from passloop.drivers.processes.keeper import records

__all__ = ["StartRecord"]

_NAME = b"cells.start"
_NO_LINK = {errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOENT}


class StartRecord:
    """What a start record of this worker says: which process it is. `folder` is the worker's, open."""

    def __init__(self, folder: int, fields: dict[str, str | int]) -> None:
        self._folder = folder
        self._fields = fields
        self._made = False

    def claim(self, cell: int) -> bool:
        """Make start.json in the open folder of a cell; False if there is one already. OSError if none can be made."""
        if not self._made:
            self._make()
        try:
            os.link(_NAME, records.START_FILE, src_dir_fd=self._folder, dst_dir_fd=cell)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self._made = False
            return records.claim_start(cell, self._text())
        return True

    def _make(self) -> None:
        """A new file, whole before it has the name. An earlier one keeps its links."""
        temporary = _NAME + b".tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=self._folder)
        try:
            os.write(fd, records.sealed(self._text()))
        finally:
            os.close(fd)
        os.rename(temporary, _NAME, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._made = True

    def _text(self) -> bytes:
        return records.to_json({**self._fields, "started_at": records.wall_ms()})
