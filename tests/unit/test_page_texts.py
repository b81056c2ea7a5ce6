"""The page's words: the same keys in both languages, and every word that the page asks for is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from schemas.events import METHODS, SECTORS
from schemas.scenario.actions import ACTIONS

STATIC = Path("services/page/static")
TEXTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in STATIC.glob("texts/*.json")}
SCRIPTS = "\n".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))
PAGE = (STATIC / "index.html").read_text(encoding="utf-8")


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert set(TEXTS) == {"vi", "en"}
    assert list(TEXTS["vi"]) == list(TEXTS["en"])


@pytest.mark.parametrize("language", ["vi", "en"])
def test_no_text_is_empty(language: str) -> None:
    assert [key for key, text in TEXTS[language].items() if not text.strip()] == []


def test_the_same_values_go_into_both_languages() -> None:
    for key, text in TEXTS["vi"].items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", TEXTS["en"][key])), key


def test_every_word_that_is_asked_for_is_there() -> None:
    asked = set(re.findall(r'data-text="(\w+)"', PAGE)) | set(re.findall(r'\bt\(\s*"(\w+)"', SCRIPTS))
    assert len(asked) > 60
    assert sorted((asked | {*METHODS, *SECTORS} | set(ACTIONS)) - set(TEXTS["vi"])) == []


def test_nothing_comes_from_elsewhere() -> None:
    for path in STATIC.rglob("*.*"):
        text = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text) == [], path
