"""What is kept of a refused answer, as JSON text with the task's results, so that the next attempt knows it."""

from __future__ import annotations

import msgspec

from passloop.drivers.base import Launch

from .caller import Answer, CallOrder, Usage

__all__ = ["order_of", "refusal_text"]


class _Kept(msgspec.Struct, omit_defaults=True):
    """The record; `spent` is (input, output) tokens of all refused answers so far."""

    refusals: int = 0
    feedback: str = ""
    refused: str = ""
    spent: tuple[int, int] = (0, 0)


_decoder = msgspec.json.Decoder(_Kept)


def order_of(launch: Launch) -> CallOrder:
    """The attempt as its caller sees it, with what earlier attempts left as the task's results."""
    kept = _Kept() if launch.left is None else _decoder.decode(launch.left)
    return CallOrder(
        attempt=launch.attempt,
        epoch=launch.epoch,
        run=launch.run,
        task=launch.task,
        payload=launch.payload,
        refusals=kept.refusals,
        feedback=kept.feedback,
        refused=kept.refused,
        spent=Usage(*kept.spent),
    )


def refusal_text(order: CallOrder, answer: Answer, feedback: str) -> str:
    """The record after one more refusal."""
    usage = answer.usage or Usage()
    spent = (order.spent.input + usage.input, order.spent.output + usage.output)
    kept = _Kept(order.refusals + 1, feedback, answer.text, spent)
    return msgspec.json.encode(kept).decode()
