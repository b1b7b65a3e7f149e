"""Secrets are references: a value is refused, what leads nowhere is told, and orders hold names only."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from passloop.apps.errors import SpecError
from passloop.apps.tune.engines.base import Site, server_environment
from passloop.apps.tune.search.declaring import decode_request
from passloop.apps.tune.search.tasks import task_of
from passloop.apps.tune.study import Study
from tests.unit.apps.tune.studies import GOOD, mistakes, study

ARGV = GOOD["engine"]["argv"]
PARAMS = {"batch": 64, "slots": 1}


def with_env(**env: str) -> Study:
    return study(engine={"argv": ARGV, "env": env}, load={**GOOD["load"], "options": {"api_key": "env:LOAD_KEY"}})


@pytest.mark.parametrize("value", ["hf_abcdef", "{batch}", "env:", "env:A B", "file:"])
def test_a_secret_that_is_no_reference_is_refused(value: str) -> None:
    said = mistakes(engine={"argv": ARGV, "env": {"HF_TOKEN": value}})
    assert said.startswith("`HF_TOKEN` looks like a secret, and its value would be stored; write HF_TOKEN: env:HF_")


@pytest.mark.parametrize(
    ("key", "said"),
    [("sk-1", "api_key is a reference"), (7, "api_key"), ("env:PLAIN", "`PLAIN` does not look like a secret")],
)
def test_the_load_clients_key_is_a_reference_to_what_is_hidden(key: object, said: str) -> None:
    assert said in mistakes(load={**GOOD["load"], "options": {"api_key": key}})


def test_an_order_names_secrets_and_the_task_says_where_they_are() -> None:
    made = with_env(HF_TOKEN="env:OTHER_TOKEN", A_KEY="file:keys/a", PLAIN="1")
    candidate = made.candidate(PARAMS)
    order = made.order(candidate, trial=0)
    assert (order.engine.env, order.engine.secrets) == ({"PLAIN": "1"}, ("HF_TOKEN", "A_KEY"))
    task = task_of(made, candidate, order, environment="e")
    asked = {"HF_TOKEN": "env:OTHER_TOKEN", "A_KEY": "file:/keys/a", "LOAD_KEY": "env:LOAD_KEY"}
    assert json.loads(task.payload)["secrets"] == asked


def test_a_container_gets_its_secrets_and_no_other_variable_of_the_trial(tmp_path: Path) -> None:
    made = with_env(HF_TOKEN="env:HF_TOKEN")
    order = made.order(made.candidate(PARAMS), trial=0).engine
    environment = {"HF_TOKEN": "s", "HOME": "/", "LOAD_KEY": "k"}
    site = Site(port=1, ports=1, temporary=tmp_path, environment=environment, log=lambda _: None)
    given = server_environment(order, site, inherited=False)
    assert (given["HF_TOKEN"], "HOME" in given, "LOAD_KEY" in given) == ("s", False, False)


def test_a_reference_that_leads_nowhere_is_told_before_a_run_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    request = decode_request(json.dumps({"study": with_env(HF_TOKEN="env:HF_TOKEN").wire()}).encode())
    monkeypatch.setenv("LOAD_KEY", "k")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(SpecError, match=r"the engine's environment has no HF_TOKEN: .*, or say HF_TOKEN: file:PATH"):
        request.read()
    monkeypatch.setenv("HF_TOKEN", "t")
    assert request.read().name == "small"


def test_a_value_that_comes_past_the_command_line_is_refused_too() -> None:
    told = json.loads(with_env(HF_TOKEN="env:HF_TOKEN").wire())
    told["spec"]["engine"]["env"]["HF_TOKEN"] = "hf_abcdef"
    body = msgspec.json.encode({"study": json.dumps(told)})
    with pytest.raises(SpecError, match="looks like a secret"):
        decode_request(body).read()
