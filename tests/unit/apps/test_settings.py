"""Settings come from flag, environment, project file, user file or default, in this order, and say from where."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.settings import PROJECT_FILE, SETTINGS, Settings, load_settings, project_file


def loaded(
    tmp_path: Path,
    *,
    flags: dict[str, str | None] | None = None,
    environment: dict[str, str] | None = None,
    project: str | bytes | None = None,
    user: str | None = None,
) -> Settings:
    files: dict[str, Path | None] = {"project": None, "user": None}
    for name, text in (("project", project), ("user", user)):
        if text is not None:
            files[name] = tmp_path / f"{name}.toml"
            (tmp_path / f"{name}.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load_settings(flags=flags or {}, environment=environment or {}, project=files["project"], user=files["user"])


def test_the_highest_source_wins_and_is_named(tmp_path: Path) -> None:
    every = {"project": "grace = '3s'\n", "user": "grace = '2s'\n"}
    variable = {"PASSLOOP_GRACE": "4s"}
    told = [
        loaded(tmp_path),
        loaded(tmp_path, user=every["user"]),
        loaded(tmp_path, **every),
        loaded(tmp_path, environment=variable, **every),
        loaded(tmp_path, environment=variable, flags={"grace": "5s"}, **every),
    ]
    assert [each["grace"] for each in told] == [30_000, 2_000, 3_000, 4_000, 5_000]
    project, user = str(tmp_path / "project.toml"), str(tmp_path / "user.toml")
    assert [each.origins["grace"] for each in told] == ["default", user, project, "PASSLOOP_GRACE", "--grace"]


def test_values_are_read_exactly(tmp_path: Path) -> None:
    text = (
        "cpus_total = 7.5\nmemory_total = '64GiB'\ngpus_allow = ['0', 'GPU-1']\nscore_idle = 0.25\n"
        "colour = 'never'\npatience = 60\nvirtual_gpus = '4x80GiB'\n"
    )
    settings = loaded(tmp_path, user=text)
    assert settings["cpus_total"] == 7_500
    assert settings["memory_total"] == 65_536
    assert settings["gpus_allow"] == ("0", "GPU-1")
    assert settings["score_idle"] == 0.25
    assert settings["patience"] == 60_000


def test_values_are_shown_in_the_units_of_people(tmp_path: Path) -> None:
    text = "cpus_total = 16\nmemory_total = '64GiB'\npatience = 90\nscore_idle = 0.25\n"
    shown = {row["name"]: row["value"] for row in loaded(tmp_path, user=text).rows()}
    assert (shown["cpus_total"], shown["memory_total"], shown["patience"]) == ("16", "64GiB", "90s")
    assert (shown["grace"], shown["score_idle"], shown["pools"]) == ("30s", 0.25, None)


def test_an_engine_is_told_what_was_set(tmp_path: Path) -> None:
    settings = loaded(tmp_path, user="cpus_total = 2\ngpus_deny = ['1', '2']\n")
    assert settings.environment_of() == {"PASSLOOP_CPUS": "2", "PASSLOOP_GPUS_DENY": "1,2"}


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert loaded(tmp_path, environment={"PASSLOOP_CPUS": ""}).origins["cpus_total"] == "default"


def test_every_setting_is_listed(tmp_path: Path) -> None:
    rows = loaded(tmp_path).rows()
    assert [row["name"] for row in rows] == [setting.name for setting in SETTINGS]
    assert all(row["about"] and row["origin"] for row in rows)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("x = 1\ngrac = '1s'\n", "1:1", "unknown setting `x`"),
        ("\n  grac = '1s'\n", "2:3", "did you mean `grace`?"),
        ("grace = 'soon'\n", "1:1", "duration"),
        ("[cpus_total]\na = 1\n", "1:2", "CPU count"),
        ("cpus_total = 0\n", "1:1", "runs nothing"),
        ("cpus_total = nan\n", "1:1", "finite"),
        ("colour = 'red'\n", "1:1", "colour"),
        ("score_idle = 7\n", "1:1", "weight"),
        ("score_idle = true\n", "1:1", "weight"),
        ("gpus_allow = [1]\n", "1:1", "list of GPUs"),
        ("home = ''\n", "1:1", "not text"),
        ("grace = '1s'\ngrace = '2s'\n", "2:13", "not TOML"),
        ("grace = \n", "1:9", "not TOML"),
        ("a = " + "[" * 5_000, "1:1", "not TOML"),
        (b"\xff\xfe", "1:1", "not TOML"),
        ("#" * 300_000, "1:1", "256 KiB"),
    ],
)
def test_a_file_that_cannot_be_is_refused_at_its_place(
    tmp_path: Path, text: str | bytes, place: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, project=text)
    assert words in str(caught.value)
    assert caught.value.problems[0].where == f"{tmp_path / 'project.toml'}:{place}"


def test_flags_and_variables_that_cannot_be_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, flags={"cpus_total": "-1"}, environment={"PASSLOOP_GRACE": "x"})
    assert [problem.where for problem in caught.value.problems] == ["--cpus-total", "PASSLOOP_GRACE"]


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert load_settings(flags={}, environment={}, project=tmp_path / "a", user=tmp_path / "b")["colour"] == "auto"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        load_settings(flags={}, environment={}, project=tmp_path, user=None)


def test_the_project_file_is_looked_for_up_to_the_repository(tmp_path: Path) -> None:
    inner = tmp_path / "repo" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / PROJECT_FILE).touch()
    assert project_file(inner) == tmp_path / PROJECT_FILE
    (tmp_path / "repo" / ".git").mkdir()
    assert project_file(inner) is None
    (tmp_path / "repo" / PROJECT_FILE).touch()
    assert project_file(inner) == tmp_path / "repo" / PROJECT_FILE
