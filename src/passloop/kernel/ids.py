"""Names of things. All ids are positive integers handed out by the machine in ascending order, never paths."""

from __future__ import annotations

from typing import NewType

__all__ = ["CPU", "DISK", "GPU", "MEMORY", "NODE", "AttemptId", "PoolName", "RunId", "TaskId"]

RunId = NewType("RunId", int)
TaskId = NewType("TaskId", int)
AttemptId = NewType("AttemptId", int)
PoolName = NewType("PoolName", str)

GPU = PoolName("gpu")
CPU = PoolName("cpu")
MEMORY = PoolName("memory")
DISK = PoolName("disk")
NODE = PoolName("node")
