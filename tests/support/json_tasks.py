"""Builds tasks in the JSON shape of `show --json`, for the parts that only read it."""

from __future__ import annotations

from typing import Any

from passloop.clock import iso_utc

START = 1_790_000_000_000


def at(seconds: float) -> str:
    """The JSON text of a moment, in seconds after the start of the sample."""
    text = iso_utc(START + round(seconds * 1000))
    assert text is not None
    return text


def attempt(start: float, end: float | None, *, outcome: str | None = "success", **fields: object) -> dict[str, Any]:
    """One attempt from `start` to `end` (seconds after the start of the sample), admitted 10 ms before."""
    return {
        "attempt": 1,
        "admitted_at": at(start - 0.01),
        "started_at": at(start),
        "ended_at": None if end is None else at(end),
        "outcome": outcome,
        "exit_code": 0 if outcome == "success" else None,
        "message": "",
        "gpus": [],
    } | fields


def task(number: int, *attempts: dict[str, Any], **fields: object) -> dict[str, Any]:
    """One task of run 7 with its attempts; `fields` replace what the attempts say."""
    last = attempts[-1] if attempts else {}
    outcome = last.get("outcome")
    state = "succeeded" if outcome == "success" else "running" if attempts and outcome is None else "failed"
    return {
        "id": number,
        "key": None,
        "run": {"id": 7, "name": "digits"},
        "name": f"digits-{number}",
        "group": "default",
        "state": state if attempts else "ready",
        "attempt": len(attempts),
        "exit_code": last.get("exit_code"),
        "outcome": outcome,
        "message": last.get("message", ""),
        "priority": 0,
        "submitted_at": at(0),
        "started_at": last.get("started_at"),
        "ended_at": last.get("ended_at"),
        "gpus": last.get("gpus", []),
        "request": [{"gpus": 0, "vram_mib": None, "cpus_milli": 1000, "mem_mib": None, "need": {}}],
        "results": {},
        "command": ["python", "train.py"],
        "cwd": "/somewhere",
        "after": [],
        "retried_by": None,
        "params": {},
        "attempts": list(attempts),
    } | fields
