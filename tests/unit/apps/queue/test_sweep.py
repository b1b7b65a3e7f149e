"""A sweep spec becomes cells: matrix x zip x seeds x replicas, less what is excluded; keys are identities."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.convert import to_submitted
from passloop.apps.queue.options import Place
from passloop.apps.queue.sweep import sweep_of
from passloop.apps.queue.wire import WireRetries, WireVariant
from passloop.apps.spec_file import load_spec

from .places import HERE, places_of, refused_sweep, sweep

HEAD = 'run: digits\ncommand: ["{python}", train.py, --depth, "{depth}"]\n'


def params(text: str) -> list[dict[str, object]]:
    return [dict(cell.params) for cell in sweep(text).cells()]


def keys(text: str, place: Place = HERE) -> list[str]:
    return [cell.key for cell in sweep(text, place).cells()]


def test_the_spec_of_the_documents_is_expanded() -> None:
    text = (
        "# passloop submit sweep.yaml\nrun: digits\n"
        'command: ["{python}", train.py, --depth, "{depth}", --lr, "{lr}"]\n'
        "matrix: {depth: [2, 4, 8], lr: [1e-2, 1e-3]}      # also: zip, exclude, when, seeds, replicas\n"
        "resources: {cpus: 1, gpus: 0}\ntime_limit: 10m\nretries: {failure: 1, out_of_memory: 1}\n"
    )
    found = sweep(text)
    cells = list(found.cells())
    assert found.points == len(cells) == 6
    assert cells[1].command == (sys.executable, "train.py", "--depth", "2", "--lr", "0.001")
    assert cells[1].name == "digits depth=2 lr=0.001"
    assert found.wire.request == (WireVariant(amounts={"cpu": 1_000}),)
    assert found.wire.retries == WireRetries(failure=1)
    assert found.wire.time_limit == 600_000
    assert found.wire.task_class == "queue python train.py"


def test_zipped_axes_move_together_and_others_are_combined() -> None:
    text = HEAD + "matrix: {depth: [1, 2]}\nzip: {m: [a, b], s: [1, 2]}\nseeds: [7]\nreplicas: 2\n"
    found = params(text)
    assert len(found) == 8
    assert {(each["m"], each["s"]) for each in found} == {("a", 1), ("b", 2)}
    assert {each["seed"] for each in found} == {7}
    assert {each["replica"] for each in found} == {0, 1}


def test_two_zips_are_combined() -> None:
    assert len(params(HEAD + "zip: [{depth: [1, 2], b: [1, 2]}, {c: [1, 2, 3]}]\n")) == 6


def test_seeds_as_a_number_count_from_zero() -> None:
    assert [each["seed"] for each in params(HEAD + "seeds: 3\n")] == [0, 1, 2]


def test_a_spec_without_axes_is_one_cell() -> None:
    assert params("run: one\ncommand: [echo]\n") == [{}]


def test_excluded_cells_match_every_named_axis_and_any_of_its_values() -> None:
    text = HEAD + "matrix: {depth: [1, 2, 3], lr: [0.1, 0.2]}\nexclude: [{depth: 1}, {depth: [2, 3], lr: 0.2}]\n"
    assert params(text) == [{"depth": 2, "lr": 0.1}, {"depth": 3, "lr": 0.1}]


def test_one_is_neither_true_nor_text_nor_a_float() -> None:
    text = HEAD + 'matrix: {depth: [1, true, "1", 1.0]}\nexclude: [{depth: 1}]\n'
    assert [type(each["depth"]) for each in params(text)] == [bool, str, float]
    assert len(set(keys(HEAD + 'matrix: {depth: [1, true, "1", 1.0, null, "null"]}'))) == 6


def test_every_condition_must_hold() -> None:
    text = HEAD + 'matrix: {depth: [1, 2, 3], m: [a, b]}\nwhen: ["depth < 3", "m == \\"a\\" or depth == 1"]\n'
    assert params(text) == [{"depth": 1, "m": "a"}, {"depth": 1, "m": "b"}, {"depth": 2, "m": "a"}]


def test_only_known_names_are_replaced_and_values_are_not_looked_into() -> None:
    text = 'run: x\ncommand: [a, "{d}{d}", "{other}", "{ d }", "{{d}}"]\nmatrix: {d: ["{python}"]}\n'
    (cell,) = sweep(text).cells()
    assert cell.command == ("a", "{python}{python}", "{other}", "{ d }", "{{python}}")


def test_numbers_in_commands_and_variables_stay_as_written() -> None:
    (cell,) = sweep("run: x\ncommand: [a, 1.10, 1e-3, 007, true]\nenv: {A: 1.0, B: '{index}'}\n").cells()
    assert cell.command == ("a", "1.10", "1e-3", "007", "true")
    assert cell.env == {"A": "1.0", "B": "0"}


def test_the_same_spec_again_has_the_same_keys() -> None:
    text = HEAD + "matrix: {depth: [1, 2], lr: [1e-5, 0.1]}\nseeds: 2\n"
    assert keys(text) == keys(text)
    assert len(set(keys(text))) == 8


def test_names_and_resources_are_not_part_of_a_key() -> None:
    plain = HEAD + "matrix: {depth: [1, 2]}\n"
    other = (
        plain.replace("digits", "other")
        + "name: 'd {depth}'\nresources: {gpus: 2, vram: 1GiB}\ngroup: g\npriority: 3\n"
        + "retries: {failure: 2}\ntime_limit: 1h\ngrace: 1s\nenv: {HF_TOKEN: x}\n"
    )
    assert keys(plain) == keys(other)


def test_a_larger_matrix_keeps_the_keys_it_had() -> None:
    small, large = keys(HEAD + "matrix: {depth: [1, 2]}\n"), keys(HEAD + "matrix: {depth: [3, 2, 1]}\n")
    assert set(small) < set(large)


def test_what_determines_the_result_is_part_of_a_key() -> None:
    base = HEAD + "matrix: {depth: [1]}\n"
    others = [
        base.replace("train.py", "test.py"),
        base.replace("[1]", "[2]"),
        base + "env: {A: b}\n",
        base + "seeds: 1\n",
        base.replace('"{depth}"]', '"{depth}", "{index}"]'),
    ]
    found = [keys(text)[0] for text in (base, *others)] + [keys(base, Place(cwd="/tmp", environment={}))[0]]
    assert len(set(found)) == len(found)


def test_a_command_that_uses_the_index_is_another_cell_at_another_index() -> None:
    text = 'run: x\ncommand: [a, "{d}", "{index}"]\nmatrix: {d: [1, 2]}\n'
    assert keys(text)[1] != keys(text + "exclude: [{d: 1}]\n")[0]
    plain = text.replace(', "{index}"', "")
    assert keys(plain)[1] == keys(plain + "exclude: [{d: 1}]\n")[0]


def test_keys_are_stable_across_releases() -> None:
    assert keys('run: x\ncommand: [a, "{d}", "{f}"]\nmatrix: {d: [1], f: [1e-05]}\n') == [
        "91ac08c25404846eabe17ee3c50d76d4",
    ]


def test_a_key_can_be_a_template() -> None:
    text = HEAD + "matrix: {depth: [1, 2]}\nkey: 'digits/{depth}'\n"
    assert keys(text) == ["digits/1", "digits/2"]


def test_a_snapshot_replaces_the_directory_in_the_key() -> None:
    text = HEAD + "matrix: {depth: [1]}\nsnapshot: true\n"
    one = Place(cwd="/a", environment={}, snapshot=lambda _: "/home/snapshots/abc")
    two = Place(cwd="/b", environment={}, snapshot=lambda _: "/home2/snapshots/abc")
    other = Place(cwd="/a", environment={}, snapshot=lambda _: "/home/snapshots/def")
    assert keys(text, one) == keys(text, two) != keys(text, other)
    assert sweep(text, one).submission(one).cwd == "/home/snapshots/abc"


def test_the_directory_is_the_users_or_relative_to_the_spec(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "s.yaml").write_text("run: x\ncommand: [a]\ncwd: code\n")
    assert sweep_of(load_spec(tmp_path / "s.yaml"), HERE).cwd == str(tmp_path / "code")
    assert sweep("run: x\ncommand: [a]\n").cwd == "/"


def test_a_sweep_is_submitted_whole_and_never_refused_for_a_cell() -> None:
    text = (
        HEAD + "matrix: {depth: [1, 2]}\nafter: 3\nafter_any: [4]\ngroup: g\npriority: 2\n"
        "resources: {gpus: 1, vram: 8GiB, or: [{gpus: 0, cpus: 16}]}\n"
    )
    wire = sweep(text).submission(HERE)
    event = to_submitted(wire).submitted
    assert (event.name, event.group, event.priority, event.refuse_impossible) == ("digits", "g", 2, False)
    assert wire.after == ((3, False), (4, True))
    assert wire.spec.request == (WireVariant(gpus=1, vram_mib=8_192), WireVariant(amounts={"cpu": 16_000}))
    assert [task.index for task in wire.tasks] == [0, 1]
    assert "canary" not in str(wire)


@pytest.mark.parametrize(
    ("text", "places", "words"),
    [
        ("run: x\n", ["1:1"], "`command` is missing"),
        ("bench: x\n", ["1:8"], "bench spec"),
        ("run: 1\ncommand: [a]", ["1:6"], "must be text"),
        ("run: '7'\ncommand: [a]", ["1:6"], "is a number"),
        ("run: ''\ncommand: [a]", ["1:6"], "empty"),
        ('run: "a\\u202eb"\ncommand: [a]', ["1:6"], "invisible"),
        ("run: x\ncommand: python train.py --x 1", ["2:10"], "command: [python, train.py, --x, 1]"),
        ("run: x\ncommand: []", ["2:10"], "empty"),
        ("run: x\ncommand: [a, [b]]", ["2:14"], "a list"),
        ("run: x\ncommand: [a, ~]", ["2:14"], "empty"),
        ('run: x\ncommand: [a, "\\0"]', ["2:10"], "NUL"),
        ("run: x\ncommand: [a]\nmatrx: {}", ["3:1"], "did you mean `matrix`?"),
        ("run: x\ncommand: [a]\nmatrix: [1]", ["3:9"], "mapping"),
        ("run: x\ncommand: [a]\nmatrix: {a: 1}", ["3:13"], "not a list but"),
        ("run: x\ncommand: [a]\nmatrix: {a: []}", ["3:13"], "no values"),
        ("run: x\ncommand: [a]\nmatrix: {a: [1, 1]}", ["3:17"], "twice"),
        ("run: x\ncommand: [a]\nmatrix: {a: [.nan]}", ["3:14"], "not finite"),
        ("run: x\ncommand: [a]\nmatrix: {a: [.inf]}", ["3:14"], "not finite"),
        ("run: x\ncommand: [a]\nmatrix: {a: [[1]]}", ["3:14"], "a list"),
        ("run: x\ncommand: [a]\nmatrix: {a: [99999999999999999999]}", ["3:14"], "too large"),
        ("run: x\ncommand: [a]\nmatrix: {index: [1]}", ["3:17"], "template"),
        ("run: x\ncommand: [a]\nmatrix: {a b: [1]}", ["3:15"], "not a name"),
        ("run: x\ncommand: [a]\nmatrix: {seed: [1]}\nseeds: 2", ["1:1"], "there twice"),
        ("run: x\ncommand: [a]\nmatrix: {a: [1]}\nzip: {a: [1]}", ["1:1"], "there twice"),
        ("run: x\ncommand: [a]\nzip: {a: [1], b: [1, 2]}", ["3:6"], "differ in length"),
        ("run: x\ncommand: [a]\nzip: {a: [1, 1], b: [2, 2]}", ["3:6"], "same combination twice"),
        ("run: x\ncommand: [a]\nmatrix: {a: [1]}\nexclude: [{b: 1}]", ["4:15"], "no axis"),
        ("run: x\ncommand: [a]\nmatrix: {a: [1]}\nexclude: [1]", ["4:11"], "write mappings"),
        ("run: x\ncommand: [a]\nmatrix: {depth: [1]}\nwhen: detph < 2", ["4:7"], "did you mean `depth`?"),
        ("run: x\ncommand: [a]\nmatrix: {a: [1]}\nwhen: [a > 0, a b]", ["4:15"], "not readable"),
        ("run: x\ncommand: [a]\nmatrix: {a: [x]}\nwhen: a < 2", ["4:7"], "cannot be answered"),
        ("run: x\ncommand: [a]\nmatrix: {a: [0]}\nwhen: 1 / a", ["4:7"], "cannot be answered"),
        ("run: x\ncommand: [a]\nmatrix: {a: [1]}\nwhen: a > 1", ["1:1"], "no cell is left"),
        ("run: x\ncommand: [a]\nmatrix: {a: [1, 2]}\nkey: same", ["4:6"], "two cells have the key"),
        ("run: x\ncommand: [a]\nmatrix: {a: [1, 2]}\nlimit: 1", ["3:9"], "over the limit of 1"),
        ("run: x\ncommand: [a]\nseeds: 0", ["3:8"], "not possible"),
        ("run: x\ncommand: [a]\nseeds: true", ["3:8"], "write how many"),
        ("run: x\ncommand: [a]\nreplicas: 0", ["3:11"], "must be at least"),
        ("run: x\ncommand: [a]\nresources: {gpus: 1.5}", ["3:19"], "not whole"),
        ("run: x\ncommand: [a]\nresources: {vram: 1GiB}", ["3:12"], "without a GPU"),
        ("run: x\ncommand: [a]\nresources: {gpus: 1, or: [{gpus: 0, vram: 1GiB}]}", ["3:27"], "without a GPU"),
        ("run: x\ncommand: [a]\nresources: {need: {gpu: 1}}", ["3:19"], "not asked for by need"),
        ("run: x\ncommand: [a]\ntime_limit: 0", ["3:13"], "would end the task"),
        ("run: x\ncommand: [a]\ntime_limit: .nan", ["3:13"], "not a finite"),
        ("run: x\ncommand: [a]\nretries: 3", ["3:10"], "retries: {failure: 1}"),
        ("run: x\ncommand: [a]\nretries: {failure: -1}", ["3:20"], "must be at least"),
        ("run: x\ncommand: [a]\nretries: {failed: 1}", ["3:11"], "did you mean `failure`?"),
        ("run: x\ncommand: [a]\nenv: [A]", ["3:6"], "mapping"),
        ("run: x\ncommand: [a]\nenv: {A: ~}", ["3:10"], "empty"),
        ("run: x\ncommand: [a]\ncwd: nowhere", ["3:6"], "does not exist"),
        ('run: x\ncommand: [a]\ncwd: "\\0"', ["3:6"], "does not exist"),
        ("run: x\ncommand: [a]\ngroup: a b", ["3:8"], "group"),
        ("run: x\ncommand: [a]\npriority: high", ["3:11"], "whole number"),
        ("run: x\ncommand: [a]\nafter: [0]", ["3:9"], "must be at least"),
        ("run: x\ncommand: [a]\nsnapshot: yes", ["3:11"], "true or false"),
        ("run: x\ncommand: [a]\nsnapshot: true", ["--snapshot"], "no home"),
        ("run: x\ncommand: [a]\nlimit: 10000000", ["3:8"], "must be at most"),
        ("run: x\ncommand: [a]\nname: ''", ["3:7"], "not a name"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_at_its_place(text: str, places: list[str], words: str) -> None:
    error = refused_sweep(text)
    assert words in str(error)
    assert places_of(error) == [place if place.startswith("--") else f"s.yaml:{place}" for place in places]
    assert all(problem.fix for problem in error.problems)


def test_all_mistakes_of_a_spec_are_reported_in_the_order_of_the_file() -> None:
    text = "run: 12\ncomand: a\ncommand: a b\nresources: {cpus: -1, gpuss: 1}\ntime_limit: 5x\n"
    assert places_of(refused_sweep(text)) == [
        f"s.yaml:{place}" for place in ("1:6", "2:1", "3:10", "4:19", "4:23", "5:13")
    ]


def test_a_grid_of_a_billion_points_is_refused_before_it_is_made() -> None:
    axes = ", ".join(f"a{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for n in range(9))
    assert "1,000,000,000 points" in str(refused_sweep(f"run: x\ncommand: [a]\nmatrix: {{{axes}}}\n"))
    many = ", ".join(f"a{n}: [1, 2]" for n in range(900))
    assert "about 10^270 points" in str(refused_sweep(f"run: x\ncommand: [a]\nmatrix: {{{many}}}\n"))


def test_a_higher_limit_is_taken() -> None:
    text = "run: x\ncommand: [a, '{a}']\nmatrix: {a: [1, 2]}\nreplicas: 60000\nlimit: 120000\n"
    assert sweep(text).points == 120_000


def test_a_parameter_never_brings_control_characters_into_a_name() -> None:
    (cell,) = sweep('run: x\ncommand: [a, "{d}"]\nmatrix: {d: ["b\\n\\u202ec"]}\n').cells()
    assert cell.name == "x d=b??c"
    assert cell.command[1] == "b\n\u202ec"


def test_an_invalid_key_from_a_template_is_refused() -> None:
    with pytest.raises(SpecError, match="key"):
        list(sweep('run: x\ncommand: [a]\nmatrix: {d: ["b\\nc"]}\nkey: "{d}"\n').cells())
