"""Log lines of known servers and the class that they speak for."""

from __future__ import annotations

import pytest

from passloop.apps.tune.trial.failures import KINDS, SIGNS, classify, clean, refused_flag


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "out_of_memory"),
        ("ValueError: No available memory for the cache blocks. Try increasing it", "out_of_memory"),
        ("RuntimeError: CUDA error: out of memory", "out_of_memory"),
        ("E ggml_aligned_malloc: insufficient memory (attempted to allocate 1098635.62 MB)", "out_of_memory"),
        ("ValueError: Free memory on device (3.2/24 GiB) is less than desired GPU memory utilization", "out_of_memory"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "out_of_memory"),
        ("OSError: [Errno 98] Address already in use", "port"),
        ("E srv start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080", "port"),
        ("api_server.py: error: unrecognized arguments: --max-seqs 4", "bad_flag"),
        ("serve: error: argument --dtype: invalid choice: 'fp7'", "bad_flag"),
        ("pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig", "bad_flag"),
        ("Error: No such option: --foo", "bad_flag"),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", "auth"),
        ("requests.exceptions.HTTPError: 403 Client Error: Forbidden for url", "auth"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load the files", "download"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "download"),
        ("RuntimeError: CUDA error: device-side assert triggered", "device"),
        ("RuntimeError: NCCL error in: ProcessGroupNCCL.cpp:268, unhandled system error", "device"),
        ("RuntimeError: Failed to infer device type", "device"),
        ("Segmentation fault (core dumped)", "crash"),
    ],
)
def test_a_line_speaks_for_its_class(line: str, kind: str) -> None:
    found, shown = classify(["INFO starting", line, "INFO shutting down"])
    assert found == kind
    assert line in shown


def test_every_class_of_a_log_is_one_that_is_known() -> None:
    assert {kind for kind, _ in SIGNS} < set(KINDS)


def test_the_special_goes_before_the_general() -> None:
    lines = ["RuntimeError: CUDA error: something", "torch.OutOfMemoryError: CUDA out of memory"]
    assert classify(lines)[0] == "out_of_memory"


def test_a_log_that_says_nothing_shows_its_last_lines() -> None:
    kind, shown = classify([f"line {number}" for number in range(100)])
    assert kind == "crash"
    assert shown[0] == "line 88"
    assert shown[-1] == "line 99"


def test_shown_lines_hold_no_control_codes_and_have_an_end() -> None:
    assert clean("\x1b[31mError\x1b[0m: a\x00b" + "x" * 1_000).startswith("Error: abxx")
    assert len(clean("x" * 1_000)) == 400


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        ("python -m server --port: error: unrecognized arguments: --max-seqs 4", "--max-seqs"),
        ("serve: error: argument --dtype: invalid choice: 'fp7'", "--dtype"),
        ("error: invalid argument: -ub", "-ub"),
        ("Error: No such option: --max-seq", ""),
        ("1 validation error for ModelConfig", ""),
    ],
)
def test_the_flag_that_was_refused_is_one_that_the_server_was_given(line: str, flag: str) -> None:
    given = ("serve", "--port", "8000", "--max-seqs", "4", "--dtype=fp7", "-ub", "0")
    assert refused_flag(["usage: serve", line], given) == flag
