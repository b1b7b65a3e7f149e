"""What is wrong with a spec is told at once, each at its place, with a fix."""

from __future__ import annotations

import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.generate.dataset import dataset_of_file
from passloop.apps.generate.parts import table_of, write_file
from passloop.apps.generate.templates import TemplateFailed, evaluate
from passloop.apps.spec_file import parse_spec
from tests.support.generating import dataset_from

HEAD = """\
generate: x
rows: 3
endpoints: {e: {base_url: "http://127.0.0.1:1/v1", api_key: "env:SOME_KEY"}}
models: {m: {endpoint: e, model: a}}
columns:
"""


def mistakes(folder: Path, *columns: str, tail: str = "", environ: dict[str, str] | None = None) -> list[str]:
    text = HEAD + "".join(f"  - {{{column}}}\n" for column in columns) + tail
    environ = {"SOME_KEY": "k"} if environ is None else environ
    file = parse_spec(text.encode(), name="s.yaml", folder=folder)
    try:
        dataset_of_file(file, cwd=folder, environ=environ, looks_for_code=True)
    except SpecError as error:
        return [f"{problem.where} {problem.what}; {problem.fix}" for problem in error.problems]
    return []


def test_a_good_spec_has_none(tmp_path: Path) -> None:
    assert mistakes(tmp_path, 'name: a, kind: llm_text, model: m, prompt: "hi"') == []


class Edited:
    """The finder that an installation for edits leaves, of a module that lies in no folder of `sys.path`."""

    @staticmethod
    def find_spec(name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, None) if name == "installed_for_edits" else None


def test_a_module_that_is_not_there_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = 'name: a, kind: python, call: "{}:f", needs: []'
    (found,) = mistakes(tmp_path, column.format("no_such_module.part"))
    fix = f"install it where passloop runs, or put `no_such_module.py` into {tmp_path}"
    assert found == f"s.yaml:6:35 there is no module `no_such_module`; {fix}"
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Edited])
    (tmp_path / "beside_the_spec.py").touch()
    for there in ("beside_the_spec", "json.decoder", "itertools", "installed_for_edits"):
        assert mistakes(tmp_path, column.format(there)) == []


def test_a_folder_is_no_file_to_write_to(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, 'name: a, kind: llm_text, model: m, prompt: "hi"', tail="out: .\n")
    assert found == "s.yaml:7:6 . is a folder; write ./NAME.parquet"


@pytest.mark.parametrize("out", ["a" * 300, "a\\0b", "s.yaml/x.parquet"])
def test_what_is_no_path_is_no_file_to_write_to(tmp_path: Path, out: str) -> None:
    (tmp_path / "s.yaml").touch()
    column = 'name: a, kind: llm_text, model: m, prompt: "hi"'
    (found,) = mistakes(tmp_path, column, tail=f'out: "{out}"\n')
    assert "is no place for a file" in found
    assert "\0" not in found


@pytest.mark.parametrize("tail", ["out: t.incomplete.parquet\n", "out: t.incomplete\n", ""])
def test_a_dataset_is_not_named_as_what_another_leaves_beside_it(tmp_path: Path, tail: str) -> None:
    text = HEAD.replace("generate: x", "generate: t.incomplete") + "  - {name: a, kind: sampler, uniform: {}}\n" + tail
    file = parse_spec(text.encode(), name="s.yaml", folder=tmp_path)
    with pytest.raises(SpecError) as refused:
        dataset_of_file(file, cwd=tmp_path, environ={"SOME_KEY": "k"})
    [problem] = refused.value.problems
    assert "is where t" in problem.what
    assert problem.where == ("s.yaml:7:6" if tail else "s.yaml:1:11")


@pytest.mark.parametrize("out", ["a/../t.parquet", "./t.parquet", "link/t.parquet"])
def test_a_dataset_is_its_file_however_that_is_written(tmp_path: Path, out: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert dataset_from(tmp_path, out=out).root == dataset_from(tmp_path, out="t.parquet").root


def test_a_name_that_leaves_no_room_for_the_files_beside_it_is_told(tmp_path: Path) -> None:
    column = 'name: a, kind: llm_text, model: m, prompt: "hi"'
    (found,) = mistakes(tmp_path, column, tail=f'out: "{"ä" * 111}"\n')
    assert "too long; at most 220 bytes" in found
    out = tmp_path / ("a" * 220)
    write_file(out.with_name(f"{out.stem}.incomplete{out.suffix}"), [table_of([{"a": 1}], ["a"])], {})


def test_two_columns_of_one_name_are_told(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        'name: a, kind: llm_text, model: m, prompt: "hi"',
        'name: b, kind: expression, expr: "{{ a }}"',
        'name: a, kind: expression, expr: "{{ b }}"',
        'name: b, kind: python, call: "json:f", needs: [a], outputs: [c]',
    )
    assert [line.partition(" ")[2] for line in found] == [
        f"two columns make `{name}`; give one another name" for name in "ab"
    ]


@pytest.mark.parametrize(
    "text", ["{{ " + "[" * 3_000 + " }}", "{{ " + "9" * 5_000 + " }}", "{{ " + "-" * 5_000 + "1 }}"]
)
def test_a_template_that_no_program_reads_is_told(tmp_path: Path, text: str) -> None:
    (found,) = mistakes(tmp_path, f'name: a, kind: expression, expr: "{text}"')
    assert "the template is not readable" in found


@pytest.mark.parametrize("text", ["'a' * 10**9", "9**(9**9)", "'x'|center(1000000000)", "'%999999999d' % 1"])
def test_reading_a_template_computes_nothing(tmp_path: Path, text: str) -> None:
    began = time.process_time()
    assert mistakes(tmp_path, f'name: a, kind: expression, expr: "{{{{ {text} }}}}"') == []
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("text", ["'a' * 10**7", "9**(9**9)", "10**7 * [1]"])
def test_a_row_whose_product_is_too_large_is_an_error_and_holds_nobody_up(text: str) -> None:
    with pytest.raises(TemplateFailed, match="is too large"):
        evaluate("{{ " + text + " }}", {})
    assert evaluate("{{ 'ab' * 2 + 2**10 * '-' * 0 }}", {}) == "abab"


def test_all_mistakes_come_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        'name: a, kind: llm_text, model: n, prompt: "{{ b }"',
        'name: b, kind: expression, expr: "{{ topc }}"',
        "name: topic, kind: sampler, choice: {values: [1], weights: [0]}",
        environ={},
    )
    assert [line.split(" ")[0].split(":")[1] for line in found] == ["3", "6", "6", "7", "8"]
    assert "did you mean `topic`?" in found[3]
    assert "SOME_KEY" in found[0]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("name: a, kind: sampler", "names one distribution, not none"),
        ("name: a, kind: sampler, uuid: {}, bernoulli: {p: 0.5}", "not bernoulli and uuid"),
        ('name: a, kind: expression, expr: "1", model: m', "an expression column has no `model`"),
        ("name: a, kind: seed, file: none.csv", "cannot be read"),
        ('name: a, kind: python, call: "no function", needs: []', "names no function"),
        ('name: a, kind: python, call: "json:f", needs: [zz]', "there is no column `zz`"),
        ("name: a, kind: llm_text, model: m", "says no prompt"),
        ('name: a, kind: llm_structured, model: m, prompt: x, schema: {type: "nothing"}', "no JSON Schema"),
        (
            "name: a, kind: llm_structured, model: m, prompt: x, schema: gone.json",
            "the schema `gone.json` cannot be read: No such file or directory; name",
        ),
        ('name: a, kind: sampler, date: {first: "2026-02-30", last: "2026-03-01"}', "no date"),
        ("name: a, kind: sampler, conditional: {on: q, cases: {x: {uuid: {}}}}", "no sampler or seed `q`"),
        ('name: a, kind: llm_text, model: m, prompt: x, promt: "y"', "unknown key `promt`"),
        ('name: "a b", kind: expression, expr: "1"', "is no name of a column"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, column: str, said: str) -> None:
    found = mistakes(tmp_path, column)
    assert len(found) == 1, found
    assert said in found[0]


def test_columns_that_wait_for_each_other_are_named(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path, 'name: a, kind: expression, expr: "{{ b }}"', 'name: b, kind: expression, expr: "{{ a }}"'
    )
    assert "these columns wait for each other: a, b" in found[0]


def test_a_key_itself_is_refused_and_never_shown(tmp_path: Path) -> None:
    text = HEAD.replace("env:SOME_KEY", "sk-secret-words") + '  - {name: a, kind: expression, expr: "1"}\n'
    with pytest.raises(SpecError) as caught:
        dataset_of_file(parse_spec(text.encode(), name="s.yaml", folder=tmp_path), cwd=tmp_path, environ={})
    assert "never the key itself" in str(caught.value)
    assert "secret-words" not in str(caught.value)


@pytest.mark.parametrize("name", ["api-key", "X-Api-Key", "Authorization", "Cookie", "Ocp-Apim-Subscription-Key"])
def test_a_secret_in_a_header_is_refused_and_never_shown(tmp_path: Path, name: str) -> None:
    head = HEAD.replace('"env:SOME_KEY"', f'"env:SOME_KEY", headers: {{X-Plain: a, {name}: VALUE}}')

    def said(value: str) -> str:
        text = head.replace("VALUE", value) + '  - {name: a, kind: llm_text, model: m, prompt: "hi"}\n'
        file = parse_spec(text.encode(), name="s.yaml", folder=tmp_path)
        try:
            dataset = dataset_of_file(file, cwd=tmp_path, environ={"SOME_KEY": "k"})
        except SpecError as error:
            return str(error)
        assert (name, value) in dataset.models["m"].endpoint.headers
        return ""

    refused = said("sk-azure-words")
    assert f"the header `{name}` looks like a secret, and its value would be stored" in refused
    assert "azure" not in refused
    assert said("env:SOME_KEY") == ""
    assert "the engine's environment has no OTHER" in said("env:OTHER")


def test_a_cost_limit_wants_the_price_of_each_model_that_is_asked(tmp_path: Path) -> None:
    column, tail = 'name: a, kind: llm_text, model: m, prompt: "hi"', "limits: {max_cost: 5}\n"
    (found,) = mistakes(tmp_path, column, tail=tail)
    assert found.startswith("s.yaml:4:13 max_cost cannot count what `m` costs: it has no price; say `price:`")
    assert mistakes(tmp_path, 'name: a, kind: expression, expr: "1"', tail=tail) == []
    assert mistakes(tmp_path, column, tail="limits: {}\n") == []
    for output in (1.5, 0):
        priced = {"endpoint": "here", "model": "a", "price": {"input": 0, "output": output}}
        assert dataset_from(tmp_path, models={"m": priced}, limits={"max_cost": 5}).spec.limits.max_cost == 5


def test_two_columns_of_one_name_and_a_bad_keep_are_told(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        'name: a, kind: expression, expr: "1"',
        'name: a, kind: expression, expr: "2"',
        tail='keep: "{{ b }}"\n',
    )
    assert "two columns make `a`" in found[0]
    assert "`b`" in found[1]


@pytest.mark.parametrize("keep", ["grade >= 3", "False", "{{ grade }} >= 3", "{{ grade }}{{ grade }}"])
def test_a_condition_that_is_always_true_is_refused(tmp_path: Path, keep: str) -> None:
    grade = "name: grade, kind: sampler, uniform: {}"
    (said,) = mistakes(tmp_path, grade, tail=f'keep: "{keep}"\n')
    assert "is a text, and a text is always true" in said
    skip = f'name: a, kind: llm_text, model: m, prompt: "hi", skip: {{when: "{keep}"}}'
    (said,) = mistakes(tmp_path, grade, skip)
    assert said.startswith("s.yaml:7:")
    assert "always true" in said


@pytest.mark.parametrize("keep", ["{{ grade >= 3 }}", " {{ grade >= 3 }} ", "{% if grade >= 3 %}yes{% endif %}"])
def test_a_condition_that_can_be_false_is_taken(tmp_path: Path, keep: str) -> None:
    assert mistakes(tmp_path, "name: grade, kind: sampler, uniform: {}", tail=f'keep: "{keep}"\n') == []
