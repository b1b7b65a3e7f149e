"""Values of parameters -> the words of a server's argv and its variables: braces are filled, what is left out is
dropped with the flag before it, and settings that the argv does not name are appended by their flags.

Words are never split or joined, and a value is never looked into for further braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from passloop.apps.errors import BadValue
from passloop.apps.templates import Template, scalar_text
from passloop.apps.text import shown

from .families import Family, Words
from .records import Value
from .space import Parameter

__all__ = ["Launch", "LaunchMaker"]

FLAG = re.compile(r"--?[A-Za-z][^ =]*")


class Launch(NamedTuple):
    """The argv, with `{host}` and `{port}` left in it, and the variables."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


class _Word(NamedTuple):
    """A word of the argv: its template, the names in it, and whether it is one name and nothing else."""

    template: Template
    names: frozenset[str]
    alone: str | None

    @property
    def flag(self) -> bool:
        """Whether it is a flag without braces of ours."""
        return not self.names and FLAG.fullmatch(self.template.words[0]) is not None


@dataclass(frozen=True, slots=True)
class LaunchMaker:
    """Makes launches of one study. `given` are the braces that are the same in each: `{model}`, `{python}`."""

    words: tuple[_Word, ...]
    env: tuple[tuple[str, _Word], ...]
    family: Family
    parameters: Mapping[str, Parameter]
    given: Mapping[str, str]
    used: frozenset[str]

    @classmethod
    def of(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        family: Family,
        parameters: Iterable[Parameter],
        names: Iterable[str],
        given: Mapping[str, str],
    ) -> LaunchMaker:
        """A maker for this argv and these variables, in which `names` may stand in braces."""
        known = frozenset(names) | given.keys()
        words = tuple(_word(each, known) for each in argv)
        variables = tuple((name, _word(text, known)) for name, text in env.items())
        used = frozenset(name for each in (*words, *(word for _, word in variables)) for name in each.names)
        by_name = {each.name: each for each in parameters}
        return cls(words, variables, family, by_name, given, used - given.keys())

    def launch(self, values: Mapping[str, Value]) -> Launch:
        """The launch for these values. Raises `BadValue` for what the engine's family refuses or sets twice."""
        texts = {**{name: scalar_text(value) for name, value in values.items()}, **self.given}
        argv = list(self._filled(values, texts))
        env = {name: word.template.fill(texts)[0] for name, word in self.env if word.names <= texts.keys()}
        added = Flags(each for each in argv if FLAG.fullmatch(each))
        for name, value in values.items():
            if name not in self.used:
                words = self._set(name, value)
                added.add(name, _fill(words.argv, {**self._defaults(), **texts}))
                env.update(words.env)
        return Launch((*argv, *added.words), env)

    def _defaults(self) -> dict[str, str]:
        return {name: scalar_text(value) for name, value in self.family.defaults.items()}

    def _filled(self, values: Mapping[str, Value], texts: Mapping[str, str]) -> Iterator[str]:
        held: str | None = None
        """A flag that waits for what follows it."""
        for word in self.words:
            said = list(self._said(word, held, values, texts))
            if held is not None and not self._takes(word, values, texts):
                yield held
            held = said.pop() if said and word.flag else None
            yield from said
        if held is not None:
            yield held

    def _takes(self, word: _Word, values: Mapping[str, Value], texts: Mapping[str, str]) -> bool:
        """Whether the flag before this word is left out with it, or comes with it."""
        if not word.names <= texts.keys():
            return not FLAG.match(word.template.words[0])
        return word.alone is not None and isinstance(values.get(word.alone), bool)

    def _said(
        self, word: _Word, flag: str | None, values: Mapping[str, Value], texts: Mapping[str, str]
    ) -> Iterator[str]:
        """What a word becomes: itself, nothing, or the flag of a switch."""
        if not word.names <= texts.keys():
            return
        value = values.get(word.alone) if word.alone is not None else None
        if word.alone is None or not isinstance(value, bool):
            yield word.template.fill(texts)[0]
        elif flag is not None:
            parameter = self.parameters.get(word.alone)
            said = flag if value else parameter.off if parameter is not None else None
            yield from [said] if said else []
        else:
            yield from self._switch(word.alone, value).argv

    def _set(self, name: str, value: Value) -> Words:
        """The words that set what the argv does not name."""
        parameter = self.parameters.get(name)
        if parameter is not None and parameter.kind == "preset":
            return Words()
        if parameter is not None and parameter.flag is not None:
            return self._switch(name, value) if isinstance(value, bool) else Words((parameter.flag, scalar_text(value)))
        setting = self.family.settings.get(name)
        if setting is not None:
            return setting.words(value)
        if not self.family.name:
            return Words()
        return self._switch(name, value) if isinstance(value, bool) else Words((_flag(name), scalar_text(value)))

    def _switch(self, name: str, value: bool) -> Words:
        """The flag of a boolean: there if it is true; if it is false, the one that says so, where there is one."""
        parameter = self.parameters.get(name)
        flag = parameter.flag if parameter is not None and parameter.flag is not None else _flag(name)
        if value:
            return Words((flag,))
        off = parameter.off if parameter is not None else None
        if off is None and self.family.no is not None:
            off = self.family.no + flag.removeprefix("--")
        return Words((off,) if off is not None else ())


class Flags:
    """Words that settings append, each flag once. A flag that is there already with other words is a mistake."""

    def __init__(self, there: Iterable[str]) -> None:
        self.words: list[str] = []
        self._there = dict.fromkeys(there, ("the argv", ()))
        self._by: dict[str, tuple[str, tuple[str, ...]]] = dict(self._there)

    def add(self, name: str, words: Sequence[str]) -> None:
        """Append what sets `name`. Raises `BadValue` for a flag that something else has set otherwise."""
        for group in _groups(words):
            by, before = self._by.get(group[0], (name, group))
            if before != group:
                what = f"both {shown(name)} and {by if by == 'the argv' else shown(by)} set {group[0]}"
                raise BadValue(what, "set it once")
            if group[0] not in self._by:
                self._by[group[0]] = (name, group)
                self.words += group


def _groups(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Each flag with what follows it."""
    group: list[str] = []
    for word in words:
        if group and FLAG.fullmatch(word):
            yield tuple(group)
            group = []
        group.append(word)
    if group:
        yield tuple(group)


def _word(text: str, names: frozenset[str]) -> _Word:
    template = Template((text,), names)
    used = template.used
    alone = next(iter(used)) if len(used) == 1 and text == f"{{{next(iter(used))}}}" else None
    return _Word(template, used, alone)


def _fill(words: Sequence[str], texts: Mapping[str, str]) -> tuple[str, ...]:
    return Template(words, texts).fill(texts)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
