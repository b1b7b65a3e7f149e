"""Laws of the walk over any template: opening a pool never takes a unit away, and growth always comes to rest."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
from hypothesis import given, settings

from passloop.kernel.source_rows import TemplateNode
from passloop.kernel.sources import next_part
from tests.support.sourced import SourcedWorld, call, local

MODELS = ("m0", "m1", "m2")
CPUS = 2


@st.composite
def templates(draw: st.DrawFn) -> list[TemplateNode]:
    """Up to six nodes, each after any of the earlier ones; some unit is always worth something."""
    nodes = [call(draw(st.sampled_from(MODELS)), completes=True)]
    for number in range(1, draw(st.integers(1, 6))):
        after = sorted(draw(st.sets(st.integers(0, number - 1), max_size=2)))
        kind = draw(st.sampled_from((*MODELS, "local")))
        completes = draw(st.booleans())
        nodes.append(local(after=after, completes=completes) if kind == "local" else call(kind, after=after))
    return nodes


def world_of(limits: Sequence[int], *, shared: bool) -> SourcedWorld:
    world = SourcedWorld(gpus=0, cpus=CPUS, check=False)
    for name, limit in zip(MODELS, limits, strict=True):
        world.declare_models(name, limit=limit, parent="endpoint" if shared else None)
    return world


@settings(max_examples=60, deadline=None)
@given(
    template=templates(),
    limits=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    shared=st.booleans(),
    closed=st.sets(st.sampled_from(MODELS), min_size=1),
    steps=st.lists(st.integers(0, 3), max_size=6),
)
def test_opening_a_pool_never_takes_a_unit_away(
    template: list[TemplateNode], limits: list[int], shared: bool, closed: set[str], steps: list[int]
) -> None:
    world = world_of(limits, shared=shared)
    run = world.source(*template)
    for name in sorted(closed):
        world.cool(name, millis=3_600_000)
    for many in steps:
        world.grow(run, most=many)
        world.finish(*world.running[:many])
    for name in sorted(closed):
        state = world.restored().state
        source = state.sources[run]
        before = next_part(state, source)
        closure = state.pools[name].closure
        assert closure is not None
        closure.open()
        assert next_part(state, source) or not before, f"opening {name} took the unit away"


@settings(max_examples=40, deadline=None)
@given(template=templates(), limits=st.lists(st.integers(1, 4), min_size=3, max_size=3), ends=st.booleans())
def test_growth_comes_to_rest_without_a_guard(template: list[TemplateNode], limits: list[int], ends: bool) -> None:
    """What is ready stays under a bound of the template and the limits: what runs, twice that, and what ended."""
    world = world_of(limits, shared=False)
    run = world.source(*template)
    for ended in range(5):
        assert world.grow(run, most=200) < 200, "it grows without end"
        roots = [task for task in world.ready if not template[world.rows.cells[task].node].after]
        assert len(roots) <= len(template) * (3 * max(CPUS, *limits) + ended)
        if ends:
            world.finish(*world.running[:1])
