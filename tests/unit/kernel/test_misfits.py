"""What can never fit is told in the units of people, and as numbers for programs."""

from __future__ import annotations

import pytest

from passloop.kernel.blockers import BlockerCode
from passloop.kernel.events import DeviceSeen, PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName
from passloop.kernel.resources import Variant
from tests.support.builders import GIB, World, ask, seen

EIGHTY = 80 * GIB


def a_world() -> World:
    """4 GPUs with 80 GiB, 16 CPUs, 64 GiB less 1 MiB of memory, and 2 licences."""
    world = World(gpus=[seen(n, vram=EIGHTY) for n in range(4)], cpus=16, memory=64 * GIB - 1)
    world.send(PoolDeclared(PoolName("licence"), PoolKind.LIMIT, 2))
    return world


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (ask(cpus=17), "asks 17 CPUs, there are 16"),
        (ask(cpus=16.5), "asks 16.5 CPUs, there are 16"),
        (ask(memory=64 * GIB), "asks 64 GiB of memory, there are 63.9 GiB"),
        (ask(licence=3), "asks 3 of licence, there are 2"),
        (ask(gpus=5), "asks 5 whole GPUs; there are 4 GPUs with 80 GiB"),
        (ask(gpus=1, vram=EIGHTY + 1), "asks 1 whole GPU with 80.1 GiB; there are 4 GPUs with 80 GiB"),
        (ask(share=0.5, vram=2 * EIGHTY), "asks a share of 0.5 of one GPU with 160 GiB"),
    ],
)
def test_what_never_fits_is_told_in_the_units_of_people(wanted: Variant, words: str) -> None:
    assert words in a_world().refusal(wanted).message


def test_all_that_one_variant_asks_too_much_of_is_lacking_and_of_two_variants_either() -> None:
    cpus, licences = "asks 17 CPUs, there are 16", "asks 3 of licence, there are 2"
    assert f"{cpus}; and {licences}" in a_world().refusal(ask(cpus=17, licence=3)).message
    assert f"{cpus}; or {licences}" in a_world().refusal(ask(cpus=17), ask(licence=3)).message


def test_gpus_of_several_sizes_are_counted_by_size() -> None:
    world = World(gpus=[seen(0, vram=24 * GIB), seen(1, vram=EIGHTY), seen(2, vram=EIGHTY)])
    assert world.refusal(gpus=4).message.endswith("there are 3 GPUs: 2 with 80 GiB, 1 with 24 GiB")


@pytest.mark.parametrize(
    ("gpus", "words"), [([], "there are no GPUs here"), ([seen(0, vram=512)], "there is 1 GPU with 512 MiB")]
)
def test_few_gpus_are_told_as_such(gpus: list[DeviceSeen], words: str) -> None:
    assert World(gpus=gpus).refusal(gpus=2).message.endswith(words)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (ask(gpus=1, cpus=17), ("cpu", 17_000, 12_000)),
        (ask(gpus=5), ("gpu", 5, 3)),
        (ask(share=0.5, vram=2 * EIGHTY), ("gpu", 1, 0)),
    ],
)
def test_the_blocker_has_the_pool_and_its_numbers(wanted: Variant, numbers: tuple[str, int, int]) -> None:
    world = a_world()
    world.submit(gpus=1, cpus=4)
    waiting = world.submit(wanted, wait_for_capacity=True)
    (blocker,) = world.machine.explain(waiting, world.now)
    assert blocker.code is BlockerCode.CAPACITY
    assert (blocker.pool, blocker.need, blocker.free) == numbers


def test_who_holds_what_a_task_waits_for_is_named_in_order() -> None:
    world = World(gpus=2, cpus=8)
    first, second = world.submit_many(gpus=1, n=2)
    world.finish(first)
    third = world.submit(gpus=1)
    waiting = world.submit(gpus=1)
    (blocker,) = world.machine.explain(waiting, world.now)
    assert blocker.holders == (second, third)
