"""Secrets go by the names of variables and options, and are taken out of the log as values."""

from __future__ import annotations

from pathlib import Path

from passloop.apps.tune.trial.redacting import redacted_argv, redacted_environment, secrets_in
from passloop.apps.tune.trial.server_log import ServerLog

ARGV = ("serve", "--api-key", "sk-12345678", "--hf-token=hf_87654321", "--port", "80", "--max-tokens", "32")


def test_words_after_an_option_of_a_secret_are_hidden() -> None:
    shown = ("serve", "--api-key", "***", "--hf-token=***", "--port", "80", "--max-tokens", "32")
    assert redacted_argv(ARGV) == shown


def test_variables_of_secrets_are_hidden_and_the_rest_is_sorted() -> None:
    assert redacted_environment({"PATH": "/bin", "HF_TOKEN": "x"}) == {"HF_TOKEN": "***", "PATH": "/bin"}


def test_their_values_are_known_for_the_log() -> None:
    assert secrets_in({"PATH": "/bin", "HF_TOKEN": "secret-a", "EMPTY_TOKEN": ""}, ARGV) == {
        "secret-a",
        "sk-12345678",
        "hf_87654321",
    }


def test_a_secret_is_taken_out_even_if_it_comes_in_two_pieces(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "server.log", secrets={"sk-12345678"})
    log.write(b"key sk-123")
    log.write(b"45678 is used\nlast")
    assert log.lines() == ["key *** is used", "last"]
    log.close()
    assert (tmp_path / "server.log").read_text() == "key *** is used\nlast\n"


def test_a_log_keeps_both_ends_and_counts_what_it_left_out(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "server.log", head=30, tail=20)
    log.write(b"".join(b"line %04d\n" % number for number in range(100)))
    log.close()
    log.close()
    assert (tmp_path / "server.log").read_text().splitlines() == [
        "line 0000",
        "line 0001",
        "line 0002",
        "... 950 bytes are left out here ...",
        "line 0098",
        "line 0099",
    ]


def test_a_line_without_an_end_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "server.log")
    for _ in range(100):
        log.write(b"x" * 10_000)
    assert sum(len(line) for line in log.lines()) < 300_000
    log.close()


def test_a_full_disk_ends_the_log_and_not_the_trial() -> None:
    log = ServerLog(Path("/dev/full"))
    log.write(b"a line\n")
    log.close()
    assert log.lines() == ["a line"]
