"""What the heavy half decides without any model: prompts in two parts, arguments of one question, seeds."""

from __future__ import annotations

from typing import Any

import pytest

from passloop.apps.bench.adapters.hf import KIND
from passloop.apps.bench.errors import ConfigError
from passloop.apps.bench.transformer.chat import Chat
from passloop.apps.bench.transformer.generating import arguments_of, kept_as_is, seed_of
from passloop.apps.errors import BadValue


class Letters:
    """A tokenizer of letters with a chat template."""

    bos_token = "^"

    def __init__(self, template: str | None) -> None:
        self.chat_template = template

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return [ord(letter) for letter in text]

    def apply_chat_template(self, messages: list[dict[str, str]], **_: object) -> str:
        return f"<user>{messages[0]['content'].strip()}</user><me>"


def written(tokens: list[int]) -> str:
    return "".join(map(chr, tokens))


def test_context_and_question_are_one_message() -> None:
    chat = Chat(Letters("template"))
    assert written(chat.context("TEXT")) == "<user>TEXT"
    assert written(chat.question("?", "It is")) == "?</user><me>It is"


def test_without_a_template_a_newline_ends_the_question() -> None:
    chat = Chat(Letters(None))
    assert written(chat.context("TEXT")) == "^TEXT"
    assert written(chat.question("?", "")) == "?\n"


def test_plain_prompts_are_the_texts_alone() -> None:
    chat = Chat(Letters("template"), templated=False)
    assert written(chat.question("?", "It")) == "?It"


def test_no_part_of_a_prompt_is_empty() -> None:
    letters = Letters("template")
    letters.bos_token = ""
    chat = Chat(letters, templated=False)
    assert chat.context("")
    assert chat.question("", "")


def test_a_questions_arguments_come_before_the_cells() -> None:
    cell: dict[str, Any] = {"max_new_tokens": 128, "stop": "\n"}
    assert arguments_of(cell, {"max_new_tokens": 30}).max_new_tokens == 30
    assert arguments_of(cell, {}).max_new_tokens == 128
    assert arguments_of(cell).stop == ("\n",)
    assert cell == {"max_new_tokens": 128, "stop": "\n"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 3},
        {"max_new_tokens": 0},
        {"max_new_tokens": True},
        {"max_new_tokens": 1.5},
        {"temperature": 0},
        {"temperature": "hot"},
        {"do_sample": 1},
        {"stop": 3},
        {"top_k": 1.5},
        {"top_p": 0},
        {"top_k": -1},
    ],
)
def test_wrong_arguments_are_a_mistake_of_the_spec(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        arguments_of(wrong)


def test_a_seed_depends_on_all_of_what_it_is_for() -> None:
    assert seed_of(1, "a") == seed_of(1, "a")
    assert len({seed_of(1, "a"), seed_of(2, "a"), seed_of(1, "b"), seed_of("1a")}) == 4
    assert all(0 <= seed_of(number) < 2**63 for number in range(100))


def test_a_cache_is_given_back_as_it_was() -> None:
    class Layer:
        def __init__(self) -> None:
            self.keys = (1, 2)

    class Cache:
        layers = (Layer(), Layer())

    cache = Cache()
    with kept_as_is(cache):
        cache.layers[0].keys += (3,)
        cache.layers[1].grown = True  # type: ignore[attr-defined]
    assert cache.layers[0].keys == (1, 2)
    assert not hasattr(cache.layers[1], "grown")


def test_wrong_arguments_are_told_by_plan() -> None:
    with pytest.raises(BadValue) as caught:
        KIND.check_generation({"max_new_tokens": 16, "max_tokens": 3})
    assert caught.value.path == ("generation",)
    assert "max_new_tokens" in caught.value.fix
    KIND.check_generation({"max_new_tokens": 16})
