"""Whatever is asked of the HTTP interface, the answer is a document, or an error with words and a fix, within a
second of CPU time of client and engine together; never a mistake of ours.

Requests are made from the OpenAPI document by schemathesis: those it allows and those it forbids. Nothing really runs:
the driver is scripted. Left out is what ends the engine, what never ends by itself, and what starts a process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.fuzzing import FIGURE, Seconds
from tests.support.in_thread import Address, page_in_a_thread
from tests.support.promises import record

ENDLESS = ("/api/v1/events", "/api/v1/tasks/{task}/log/follow")
LEFT_OUT = ("/api/v1/down", "/api/v1/specs", "/api/v1/plan", "/api/v1/schema/{kind}", *ENDLESS)
WAITS = ("timeout_ms",)
FEW, MANY = 3, 60


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    with page_in_a_thread(tmp_path_factory.mktemp("fuzz")) as served:
        yield served


def document_of(address: Address) -> dict[str, Any]:
    reply = requests.get(f"{address.url}/api/v1/openapi.json", headers=authorised(address), timeout=20)
    document: dict[str, Any] = reply.json()
    return document


def authorised(address: Address) -> dict[str, str]:
    return {"Authorization": f"Bearer {address.token}"}


def operations(address: Address) -> Iterator[Any]:
    """Every operation that may be tried with anything."""
    schema = schemathesis.openapi.from_dict(document_of(address))
    schema.config.update(base_url=address.url)
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in LEFT_OUT:
            yield operation


def complaint(reply: Any) -> str:
    """What is wrong with a reply; nothing if it is a document, or an error as every error is."""
    if reply.status_code >= 500:
        return "a mistake of ours"
    if reply.status_code < 400:
        return ""
    error = reply.json()["error"]
    return "" if error["code"] and error["message"] and error["hint"] and error["exit"] else "an error without words"


@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=(pytest.mark.large, pytest.mark.timeout(900)))])
def test_no_request_makes_a_mistake_of_ours(address: Address, examples: int) -> None:
    tried: dict[str, int] = {}
    wrong: list[str] = []
    seconds = Seconds(wall=examples == MANY)
    for operation in operations(address):

        @given(case=operation.as_strategy())
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def try_it(case: Any) -> None:
            for name in WAITS:
                if isinstance(case.query, dict) and name in case.query:
                    case.query[name] = 0
            with seconds.of_one():
                reply = case.call(headers=authorised(address), timeout=20)
            tried[operation.label] = tried.get(operation.label, 0) + 1  # noqa: B023
            said = complaint(reply)
            if said:
                wrong.append(f"{said}: {case.as_curl_command()[:300]} -> {reply.status_code} {reply.text[:300]}")

        try_it()
    assert wrong == []
    assert len(tried) > 45
    record("P17", FIGURE, cases=seconds.cases, page_requests=seconds.cases, longest_s=seconds.longest_s)


def test_every_route_is_refused_without_the_token_whatever_is_sent(address: Address) -> None:
    let_in = []
    for operation in operations(address):

        @given(case=operation.as_strategy())
        @settings(
            max_examples=1, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        def try_it(case: Any) -> None:
            reply = case.call(timeout=20)
            if reply.status_code not in (400, 401, 403):
                let_in.append((operation.label, reply.status_code))  # noqa: B023

        try_it()
    assert let_in == []
