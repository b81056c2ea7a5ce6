"""A load as commands run it: what is told where it could not begin, or ended by an error of any kind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from producers.load.arrivals import MaxArrivals
from producers.load.dispatch import Limits
from schemas.errors import BadInputError
from schemas.settings import load_settings
from services.load_session import Session, Telling, carry_out, intent
from tests.load_parts import records
from tests.load_reports import described


class Answers:
    """A target that answers at once."""

    def __init__(self, recorder, clock) -> None:
        self._recorder, self._clock = recorder, clock

    async def send(self, frame, due) -> None:
        self._recorder.sent(due, self._clock.now())
        self._recorder.answered(due, self._clock.now())

    async def drain(self, seconds: float) -> None:
        """Nothing is under way."""


@asynccontextmanager
async def answering(recorder, clock):
    yield Answers(recorder, clock)


def session(frames, target=answering) -> Session:
    return Session(iter(frames), MaxArrivals, target, Limits(), described("max"))


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setenv("QUETMA_LOAD__METRICS_PORT", "0")
    return load_settings(bootstrap_servers="127.0.0.1:1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_target_is_opened_ends_it_with_a_report(settings, capsys, number):
    @asynccontextmanager
    async def silent(recorder, clock):
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()
        yield

    carry_out(session([records(5)], silent), settings, Telling(json=True))
    report = json.loads(capsys.readouterr().out)
    assert (report["ended"], report["counts"]["sent"]) == ("interrupted", 0)


@pytest.mark.parametrize("error", [BadInputError("capture", "row 11", "mend it"), ZeroDivisionError("of the tool")])
def test_whatever_ends_it_how_much_was_sent_is_told_first(settings, capsys, error):
    def frames():
        yield records(10)
        raise error

    with pytest.raises(type(error)):
        carry_out(session(frames()), settings, Telling(json=True))
    report = json.loads(capsys.readouterr().out)
    assert (report["counts"]["sent"], report["counts"]["answered"]) == (10, 10)
    assert str(error) in report["ended"]


def test_an_error_before_anything_was_sent_is_all_that_is_told(settings, capsys):
    def frames():
        raise BadInputError("capture", "row 1", "mend it")
        yield

    with pytest.raises(BadInputError):
        carry_out(session(frames()), settings, Telling(json=True))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("loop", "said"), [(None, "an-giang to"), ("1", "an-giang to"), ("3", "3 times to"), ("forever", "again and again")]
)
def test_how_often_is_said_before_it_starts(loop, said):
    about = described().model_copy(update={"options": {"loop": loop}})
    one = replace(session([]), description=about, limits=Limits(seconds=60, records=1_000_000))
    assert said in intent(one)
    assert intent(one).endswith("1,000,000 records or 60 s at most")
