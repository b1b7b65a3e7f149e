"""Units are exact, and every refusal names the text and the accepted forms."""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.errors import BadValue
from passloop.apps.units import (
    GpuAsk,
    cpus_milli,
    cpus_text,
    duration_ms,
    duration_text,
    gpu_ask,
    size_mib,
    size_text,
    whole_number,
)

READERS = [duration_ms, size_mib, gpu_ask, cpus_milli, whole_number]


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("500ms", 500),
        ("30s", 30_000),
        ("10m", 600_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("0", 0),
        (0, 0),
        ("90", 90_000),
        (90, 90_000),
        ("0.1", 100),
        (0.1, 100),
        ("1.5h", 5_400_000),
        (".5s", 500),
        ("0.001s", 1),
        ("30 s", 30_000),
        (1e3, 1_000_000),
        ("3650d", 315_360_000_000),
    ],
)
def test_durations_are_exact_milliseconds(text: object, millis: int) -> None:
    assert duration_ms(text) == millis


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("512MiB", 512),
        ("20GiB", 20_480),
        ("20GB", 19_074),
        ("1MB", 1),
        ("0.5GiB", 512),
        ("1KiB", 1),
        ("1TiB", 1_048_576),
        ("1 gib", 1_024),
        ("0", 0),
        (0, 0),
        ("0GiB", 0),
        ("1048576B", 1),
        ("1048577B", 2),
    ],
)
def test_sizes_are_mib_rounded_up(text: object, mib: int) -> None:
    assert size_mib(text) == mib


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("2", GpuAsk(2, 0)),
        (2, GpuAsk(2, 0)),
        ("0", GpuAsk(0, 0)),
        ("1.0", GpuAsk(1, 0)),
        ("0.5", GpuAsk(0, 5_000)),
        (0.1, GpuAsk(0, 1_000)),
        ("0.0001", GpuAsk(0, 1)),
        ("0.9999", GpuAsk(0, 9_999)),
    ],
)
def test_gpus_are_whole_or_one_share(text: object, ask: GpuAsk) -> None:
    assert gpu_ask(text) == ask


@pytest.mark.parametrize(("text", "milli"), [("4", 4_000), (0.5, 500), ("0.001", 1), (0, 0), (0.1, 100)])
def test_cpus_are_exact_thousandths(text: object, milli: int) -> None:
    assert cpus_milli(text) == milli


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "-1s",
        -1,
        -0.5,
        math.nan,
        math.inf,
        -math.inf,
        "nan",
        "inf",
        "1e5000",
        "1" * 60,
        10**400,
        1e300,
        "1\x00",
        "1\u202e",
        "\u0661",
        "1_000",
        "0x10",
        "1,5",
        "ten",
        True,
        None,
        [],
        {},
        "1..2",
        "1.",
        "1s2s",
        "+1",
    ],
)
def test_what_is_no_amount_is_refused_with_its_text_and_the_forms(reader: object, text: object) -> None:
    with pytest.raises(BadValue) as caught:
        reader(text)  # type: ignore[operator]
    assert caught.value.fix
    assert "\x00" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


@pytest.mark.parametrize("text", ["10x", "10M", "1.0005ms", "0.0001", "3651d", "10S"])
def test_durations_of_other_units_too_fine_or_too_long_are_refused(text: str) -> None:
    with pytest.raises(BadValue, match="duration"):
        duration_ms(text)


@pytest.mark.parametrize("text", ["20", 20, "20G", "20m", "2000TiB", "20Gib/s", "1PiB"])
def test_sizes_without_a_clear_unit_are_refused(text: object) -> None:
    with pytest.raises(BadValue, match="size"):
        size_mib(text)


def test_an_ambiguous_size_is_answered_with_both_readings() -> None:
    with pytest.raises(BadValue, match=r"GiB \(binary\) or GB \(decimal\)"):
        size_mib("20G")


@pytest.mark.parametrize("text", ["1.5", 2.5, "0.00001", "100000", "2 gpus"])
def test_a_share_never_straddles_devices(text: object) -> None:
    with pytest.raises(BadValue, match="GPU"):
        gpu_ask(text)


@given(st.integers(0, 10**9), st.sampled_from(["ms", "s", "m", "h"]))
def test_every_whole_duration_is_exact(number: int, unit: str) -> None:
    millis = number * {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}[unit]
    if millis <= 3_650 * 86_400_000:
        assert duration_ms(f"{number}{unit}") == millis


@given(st.integers(1, 9_999))
def test_every_share_is_exact_as_text_and_as_a_number(share: int) -> None:
    assert gpu_ask(f"0.{share:04d}") == GpuAsk(0, share)
    assert gpu_ask(share / 10_000) == GpuAsk(0, share)


@given(st.decimals(0, 1_000, places=3, allow_nan=False, allow_infinity=False))
def test_every_cpu_count_is_exact(count: object) -> None:
    assert cpus_milli(str(count)) == Fraction(str(count)) * 1_000


@given(st.text(max_size=50) | st.floats() | st.integers() | st.none() | st.booleans())
def test_no_input_breaks_a_reader(value: object) -> None:
    for reader in READERS:
        with contextlib.suppress(BadValue):
            reader(value)  # type: ignore[operator]


@pytest.mark.parametrize("text", ["0", "1500ms", "30s", "90m", "2h", "1d", "999d"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    assert duration_text(duration_ms(text)) == text


@pytest.mark.parametrize("text", ["0MiB", "512MiB", "20GiB", "1536MiB"])
def test_a_size_is_written_as_it_is_read(text: str) -> None:
    assert size_text(size_mib(text)) == text


@pytest.mark.parametrize("text", ["0", "16", "0.5", "0.001", "2.25", "100"])
def test_cpus_are_written_as_they_are_read(text: str) -> None:
    assert cpus_text(cpus_milli(text)) == text
