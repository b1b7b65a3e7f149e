"""Settings: flag > environment > project file > user file > default, each with where its value comes from.

Files are TOML. Every setting is one line of a table below; an unknown key is an error with the nearest known
one. Nothing is applied here: `environment_of` gives what an engine is told.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .errors import BadValue, Problem, SpecError, did_you_mean
from .text import shown
from .units import cpus_milli, cpus_text, duration_ms, duration_text, size_mib, size_text

__all__ = [
    "ENGINE_SETTINGS",
    "PROJECT_FILE",
    "SETTINGS",
    "Setting",
    "Settings",
    "load_settings",
    "project_file",
    "user_file",
]

PROJECT_FILE = "passloop.toml"
LARGEST = 2**18
COLOURS = ("auto", "always", "never")


class Setting(NamedTuple):
    """A setting: how it is read, its variable, its default, what it is for, and how its value is written again."""

    name: str
    read: Callable[[object], Any]
    variable: str
    default: Any
    about: str
    write: Callable[[Any], Any] = lambda value: value

    @property
    def option(self) -> str:
        """The flag that says it, where a verb has it."""
        return "--" + self.name.replace("_", "-")

    def read_again(self, text: str | None) -> Any:
        """The value that an engine was told in its variable; None if nothing."""
        return None if not text else self.read(text)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting's value as read (ms, MiB, 1/1,000 CPU), as written, and its origin."""

    values: Mapping[str, Any]
    written: Mapping[str, str | None]
    origins: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def environment_of(self) -> dict[str, str]:
        """The variables that tell an engine what was set anywhere but by default."""
        said = {
            setting.variable: text
            for setting in SETTINGS
            if (text := self.written[setting.name]) is not None and self.origins[setting.name] != "default"
        }
        if "PASSLOOP_MEMORY" in said:
            said["PASSLOOP_MEMORY"] = f"{self.values['memory_total']}MiB"
        return said

    def rows(self) -> list[dict[str, Any]]:
        """What `config` shows: name, value as one would write it, origin, what for."""
        return [
            {
                "name": setting.name,
                "value": None if (value := self.values[setting.name]) is None else setting.write(value),
                "origin": self.origins[setting.name],
                "variable": setting.variable,
                "about": setting.about,
            }
            for setting in SETTINGS
        ]


def load_settings(
    *,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    project: Path | None,
    user: Path | None,
) -> Settings:
    """Every setting from its highest source. Raises `SpecError` with every mistake found."""
    problems: list[Problem] = []
    files = [(path, _file(path, problems)) for path in (project, user) if path is not None]
    values: dict[str, Any] = {}
    written: dict[str, str | None] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        raw, origin, where = _chosen(setting, flags, environment, files)
        origins[setting.name] = origin
        written[setting.name] = _as_text(raw)
        try:
            values[setting.name] = raw if raw is None else setting.read(raw)
        except BadValue as bad:
            problems.append(Problem(bad.what, bad.fix, where))
    if problems:
        raise SpecError(problems, next_command="passloop config")
    return Settings(values, written, origins)


def user_file() -> Path:
    """Where a user's settings are."""
    from platformdirs import user_config_path  # here, because most commands never look

    return user_config_path("passloop") / "config.toml"


def project_file(start: Path) -> Path | None:
    """The nearest `passloop.toml` from `start` upward, not beyond the project (a folder with `.git`)."""
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
        if (folder / ".git").exists():
            return None
    return None


class _Source(NamedTuple):
    """A settings file as read: its keys, and its text to find lines in."""

    keys: Mapping[str, Any]
    text: str


def _chosen(
    setting: Setting,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    files: list[tuple[Path, _Source]],
) -> tuple[Any, str, str]:
    """The raw value, its origin, and the place to name in an error."""
    flag = flags.get(setting.name)
    if flag is not None:
        return flag, setting.option, setting.option
    if environment.get(setting.variable, "") != "":
        return environment[setting.variable], setting.variable, setting.variable
    for path, source in files:
        if setting.name in source.keys:
            line, column = _place(source.text, setting.name)
            return source.keys[setting.name], str(path), f"{path}:{line}:{column}"
    return setting.default, "default", "default"


def _file(path: Path, problems: list[Problem]) -> _Source:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return _Source({}, "")
    except OSError as error:
        problems.append(Problem(f"cannot be read: {error.strerror}", "make it readable, or remove it", str(path)))
        return _Source({}, "")
    return _parsed(path, data, problems)


def _parsed(path: Path, data: bytes, problems: list[Problem]) -> _Source:
    fix = 'write lines such as: grace = "30s"'
    try:
        if len(data) > LARGEST:
            raise ValueError("it is larger than 256 KiB")
        text = data.decode("utf-8")
        keys = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{path}:{place.group(1)}:{place.group(2)}" if place else f"{path}:1:1"
        what = shown(f"not TOML: {error}", longest=200)[1:-1]
        problems.append(Problem(what, fix, where))
        return _Source({}, "")
    for name in keys:
        if name not in BY_NAME:
            line, column = _place(text, name)
            what = f"unknown setting {shown(name)}"
            problems.append(Problem(what, did_you_mean(name, BY_NAME), f"{path}:{line}:{column}"))
    return _Source(keys, text)


def _place(text: str, name: str) -> tuple[int, int]:
    """Line and column of a top-level key or table."""
    quoted = re.escape(name)
    match = re.search(rf"^[ \t]*\[*[ \t]*([\"']?{quoted}[\"']?)\s*[=.\]]", text, re.MULTILINE)
    if match is None:
        return 1, 1
    before = text[: match.start(1)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _as_text(raw: Any) -> str | None:
    if raw is None:
        return None
    return ",".join(map(str, raw)) if isinstance(raw, list | tuple) else str(raw)


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value or not value.strip():
        raise BadValue(f"{shown(value)} is not text", "write text in quotes")
    return value


def _names(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise BadValue(f"{shown(value)} is not a list of GPUs", 'write UUIDs or indices: ["GPU-1b2c", "0"]')
    return tuple(name.strip() for name in names if name.strip())


def _colour(value: object) -> str:
    if value not in COLOURS:
        raise BadValue(f"{shown(value)} is no colour mode", did_you_mean(str(value), COLOURS))
    return str(value)


def _page(value: object) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if text in ("auto", "off") or (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) < 65_536):
        return text
    raise BadValue(f"{shown(value)} is no port", "write auto, off, or a number from 1 to 65535")


def _weight(value: object) -> float:
    try:
        number = float(str(value)) if not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise BadValue(f"{shown(value)} is not a weight", "write a number from 0 to 1")
    return number


def _positive_cpus(value: object) -> int:
    milli = cpus_milli(value)
    if milli == 0:
        raise BadValue("a box without CPUs runs nothing", "write how many CPUs may be used")
    return milli


SETTINGS = (
    Setting("home", _text, "PASSLOOP_HOME", None, "the folder of store, logs and socket"),
    Setting("virtual_gpus", _text, "PASSLOOP_VIRTUAL_GPUS", None, "pretend GPUs, such as 4x80GiB"),
    Setting("cpus_total", _positive_cpus, "PASSLOOP_CPUS", None, "the size of the CPU pool", cpus_text),
    Setting("memory_total", size_mib, "PASSLOOP_MEMORY", None, "the size of the memory pool", size_text),
    Setting("pools", _text, "PASSLOOP_POOLS", None, "pools of your own for --need, such as license=4,scratch=100"),
    Setting("gpus_allow", _names, "PASSLOOP_GPUS_ALLOW", None, "use only these GPUs"),
    Setting("gpus_deny", _names, "PASSLOOP_GPUS_DENY", None, "never use these GPUs"),
    Setting("grace", duration_ms, "PASSLOOP_GRACE", "30s", "from the first signal to the kill", duration_text),
    Setting(
        "patience", duration_ms, "PASSLOOP_PATIENCE", None, "how long a task waits before it reserves", duration_text
    ),
    Setting("score_free_memory", _weight, "PASSLOOP_SCORE_FREE_MEMORY", 0.6, "weight of free memory in choosing GPUs"),
    Setting("score_idle", _weight, "PASSLOOP_SCORE_IDLE", 0.4, "weight of idleness in choosing GPUs"),
    Setting("colour", _colour, "PASSLOOP_COLOUR", "auto", "auto, always or never"),
    Setting("page", _page, "PASSLOOP_PAGE", "auto", "the page's port on 127.0.0.1: auto, off, or a number"),
    Setting("lock_dir", _text, "PASSLOOP_LOCK_DIR", None, "where homes agree on who uses which GPU"),
)
ENGINE_SETTINGS = tuple(one for one in SETTINGS if one.name not in ("home", "grace", "patience", "colour"))
"""What an engine is told when it starts, and keeps; the others are matters of each command."""
BY_NAME = {setting.name: setting for setting in SETTINGS}
