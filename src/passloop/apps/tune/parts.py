"""A spec -> the parts of a study: space, launches, constraints, GPUs, load, objectives and limits, every mistake at its
place. What is wrong is said; the parts are then not to be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.expressions import Condition, Formula, Words
from passloop.apps.templates import Template
from passloop.apps.text import shown

from .argv import LaunchMaker
from .candidates import CandidateMaker
from .engines.docker import OPTIONS
from .facts import NAMES, Facts
from .families import Family, family_of
from .load.prompts import BUILTIN
from .measured import limits_of, load_of, objectives_of, points_of, slos_of
from .parameters import Say, space_of
from .records import Limits, LoadOrder, Objective, Params, Slo
from .secrets import literal_secrets
from .space import Space
from .spec import TuneSpec
from .spec_checks import BUILT_IN
from .vram import Memory

__all__ = ["Parts", "parts_of"]

CONSTRAINT = Words(
    "constraint", "parameter", "split it: `constraints` is a list", 'write for example "ubatch <= batch"'
)
COUNT = Words("number of GPUs", "parameter", "make it shorter", 'write for example "tp * pp"')
RULE = Words("rule", "setting", "split it", "write a comparison")
LATER = frozenset({"host", "port"})
"""What a trial fills in: its own ports."""
PROMPT_TOKENS = 512
"""Of a prompt, where nothing else is known."""
TOKENS_OF_A_WORD = 2
SEQUENCES_OF_A_RATE = 64
ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Parts:
    """What a study is made of."""

    space: Space
    family: Family
    facts: Facts
    maker: CandidateMaker
    download: tuple[str, ...]
    load: LoadOrder
    objectives: tuple[Objective, ...]
    slo: tuple[Slo, ...]
    limits: Limits
    notes: list[str] = field(default_factory=list)


def parts_of(spec: TuneSpec, folder: Path, facts: Facts, python: str, say: Say) -> Parts:
    """The parts of a study whose paths are relative to `folder`."""
    family = family_of(spec.engine.family)
    space = space_of(spec, family, say)
    points = points_of(spec.load, say)
    load = load_of(spec, points, folder, say, asked=facts.source if family.asks else None)
    given = {"python": python} | ({"model": facts.source} if facts.source is not None else {})
    _check_engine(spec, family, folder, say)
    launches = _launches(spec, family, space, given)
    _check_use(spec, space, family, launches, say)
    return Parts(
        space=space,
        family=family,
        facts=facts,
        maker=_maker(spec, space, launches, facts, load, say),
        download=Template(spec.engine.download, given).fill(given),
        load=load,
        objectives=objectives_of(spec, points, say),
        slo=slos_of(spec, points, say),
        limits=limits_of(spec),
        notes=[
            *_notes(spec, space, facts),
            *(f"{shown('{' + name + '}')} is no parameter and stays as it is" for name in _unknown(spec, launches)),
        ],
    )


def _maker(
    spec: TuneSpec, space: Space, launches: LaunchMaker, facts: Facts, load: LoadOrder, say: Say
) -> CandidateMaker:
    family, resources = launches.family, spec.resources
    names = {*_names(space), *family.defaults, *NAMES}
    constraints = []
    for place, text in enumerate(spec.constraints):
        try:
            constraints.append(Condition(text, names, CONSTRAINT))
        except BadValue as bad:
            say(("constraints", place), bad.what, bad.fix)
    return CandidateMaker(
        space=space,
        family=family,
        launches=launches,
        constraints=tuple(constraints),
        rules=tuple((Condition(rule.holds, [*names, *_said(rule.holds)], RULE), rule.why) for rule in family.rules),
        gpus=tuple(_gpus(spec, family, names, say)),
        facts=facts.names,
        memory=Memory(resources.vram, facts, _sequences(load), _prompt_tokens(load) + load.max_tokens),
        cpus_milli=resources.cpus,
        mem_mib=resources.mem,
        python=launches.given["python"],
    )


def _said(expression: str) -> Iterator[str]:
    """The names in an expression of ours."""
    word = ""
    for letter in expression + " ":
        if letter.isidentifier() or (word and letter.isdigit()):
            word += letter
        elif word:
            yield word
            word = ""


def _gpus(spec: TuneSpec, family: Family, names: Iterable[str], say: Say) -> Iterator[tuple[Condition | None, Formula]]:
    """The formulas for GPUs, each with the condition under which it counts: the spec's, else the family's."""
    said = spec.resources.gpus
    if said is None:
        for when, count in family.gpus:
            yield (Condition(when, names) if when else None), Formula(count, names, COUNT)
        return
    try:
        yield None, Formula(str(said), names, COUNT)
    except BadValue as bad:
        say(("resources", "gpus"), bad.what, bad.fix)


def _sequences(load: LoadOrder) -> int:
    """The most requests that are in a server at once."""
    return max((point.concurrency or SEQUENCES_OF_A_RATE for point in load.points), default=1)


def _prompt_tokens(load: LoadOrder) -> int:
    """About how many tokens a prompt has."""
    words = BUILTIN.get(load.prompts.removeprefix("builtin:"))
    return PROMPT_TOKENS if words is None else words * TOKENS_OF_A_WORD


def _names(space: Space) -> frozenset[str]:
    """All that a point can have a value of: parameters, what is fixed, what presets set."""
    sets = (name for each in space.parameters for values in each.sets.values() for name in values)
    return frozenset({*space.fixed, *space.names, *sets})


def _launches(spec: TuneSpec, family: Family, space: Space, given: Mapping[str, str]) -> LaunchMaker:
    return LaunchMaker.of(
        _words(spec, family),
        {**family.env, **spec.engine.env},
        family=family,
        parameters=space.parameters,
        names=_names(space),
        given=given,
    )


def _words(spec: TuneSpec, family: Family) -> list[str]:
    """The argv before anything is filled in."""
    if spec.engine.argv is not None:
        return [*spec.engine.argv, *spec.engine.args]
    return [*family.argv, *(family.model if spec.model is not None else ()), *spec.engine.args]


def _check_engine(spec: TuneSpec, family: Family, folder: Path, say: Say) -> None:
    engine = spec.engine
    argv = _words(spec, family)
    texts = Template([*argv, *engine.env.values(), *engine.download], BUILT_IN)
    if engine.argv is None and not family.name:
        say(("engine",), "there is no argv", "write the words of the server, or name its family: vllm")
    elif not argv and engine.kind == "command":
        say(("engine", "argv"), "the argv is empty", 'write the words of the server: [vllm, serve, "{model}"]')
    elif "port" not in texts.used:
        say(("engine", "argv"), "nothing tells the server its port", 'add --port, "{port}"')
    if "model" in texts.used and spec.model is None:
        say(("engine",), "the argv has {model}, and there is no model", "add for example model: Qwen/Qwen3-8B")
    for name, bad in literal_secrets(engine.env):
        say(("engine", "env", name), bad.what, bad.fix)
    _check_container(spec, say)
    _check_cwd(engine.cwd, folder, say)


def _check_container(spec: TuneSpec, say: Say) -> None:
    engine = spec.engine
    if engine.kind == "docker":
        if engine.image is None:
            say(("engine",), "a container needs an image", "add for example image: vllm/vllm-openai:latest")
        for name in sorted(engine.options.keys() - OPTIONS):
            say(("engine", "options", name), f"a container has no option {shown(name)}", did_you_mean(name, OPTIONS))
        return
    for key in ("image", "options"):
        if getattr(engine, key):
            say(("engine", key), f"{key} belongs to a container", "remove it, or write kind: docker")


def _check_cwd(cwd: str | None, folder: Path, say: Say) -> None:
    if cwd is None:
        return
    try:
        there = (folder / cwd).is_dir()
    except (OSError, ValueError):
        there = False
    if not there:
        say(("engine", "cwd"), f"the directory {shown(cwd)} does not exist beside this file", "create it")


def _check_use(spec: TuneSpec, space: Space, family: Family, launches: LaunchMaker, say: Say) -> None:
    """Whatever the argv does not say changes nothing: every parameter and every setting of a preset has its words."""
    if family.name:
        return
    conditions = {name for each in space.parameters if each.when is not None for name in each.when.names}
    unknown = _unknown(spec, launches)
    for each in space.parameters:
        if each.kind == "preset":
            _check_settings(each.name, each.sets, launches, say)
        elif each.flag is None and each.name not in launches.used | conditions:
            what = f"{shown(each.name)} is nowhere in the argv, so it changes nothing"
            say(
                ("space", each.name), what, _near(each.name, unknown) or f'write "{{{each.name}}}", or give it a `flag`'
            )


def _check_settings(name: str, sets: Mapping[str, Params], launches: LaunchMaker, say: Say) -> None:
    for preset, settings in sets.items():
        for setting in sorted(settings.keys() - launches.used):
            what = f"the preset {shown(preset)} sets {shown(setting)}, which is nowhere in the argv: it changes nothing"
            say(("space", name), what, f'write "{{{setting}}}" there, or name the engine\'s family')


def _unknown(spec: TuneSpec, launches: LaunchMaker) -> tuple[str, ...]:
    """What is in braces and is no name of ours."""
    known = {*launches.used, *launches.given, *LATER}
    return Template([*(spec.engine.argv or ()), *spec.engine.args, *spec.engine.env.values()], known).unknown


def _near(name: str, unknown: tuple[str, ...]) -> str:
    near = did_you_mean(name, unknown) if unknown else ""
    return near if near.startswith("did you mean") else ""


def _notes(spec: TuneSpec, space: Space, facts: Facts) -> Iterator[str]:
    """What is allowed and yet worth telling."""
    if spec.resources.vram == "auto" and facts.weights_mib is None:
        yield "the size of the weights is not known, so none is asked for until trials were seen: say model.weights"
    for text in spec.constraints:
        unknown = {name for name in _said(text) if name in NAMES} - facts.names.keys() - set(space.names)
        if unknown:
            yield f"the constraint {shown(text)} is not checked: {', '.join(sorted(unknown))} of the model is not known"
