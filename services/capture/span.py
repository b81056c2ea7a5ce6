"""What part of topics is recorded: the texts of ``--from`` and ``--until``, read.

In: texts. Out: `Place`s. Nothing is asked of a broker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from schemas.errors import BadInputError

Kind = Literal["beginning", "end", "never", "time", "offsets", "seconds"]
_WORDS: Final[dict[str, dict[str, Kind]]] = {
    "--from": {"beginning": "beginning", "end": "end", "live": "end"},
    "--until": {"end": "end", "never": "never"},
}
_ALLOWED: Final = {
    "--from": "beginning, end, live (the same), ",
    "--until": "end (as it is when recording begins), never (until Ctrl-C), a duration such as 30s or 5m, ",
}
_TIMES: Final = (
    "a time such as 2026-02-17T08:00:00+07:00 or 1771290000000ms (UTC epoch), an offset such as 1200, "
    "or offsets by partition such as topic:0=1200,topic:1=7"
)
_EPOCH_MS: Final = re.compile(r"(\d{11,})ms").fullmatch
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smh])").fullmatch
_PARTITION: Final = re.compile(r"(?:(?P<topic>[A-Za-z0-9._-]+):)?(?P<partition>\d+)=(?P<offset>\d+)").fullmatch
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_OFFSET: Final = 2**63 - 1


@dataclass(frozen=True)
class Place:
    """Where recording begins or ends, in words that hold for every partition."""

    kind: Kind
    at_ms: int = 0
    """Of ``time``: of the records' own timestamps, UTC epoch milliseconds."""
    seconds: float = 0.0
    """Of ``seconds``: how long recording takes."""
    everywhere: int | None = None
    """Of ``offsets``: the offset in every partition."""
    offsets: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Of ``offsets``: by topic and partition; those that are not named have none."""

    def offset_in(self, topic: str, partition: int) -> int | None:
        """Return the offset that is given for a partition."""
        return self.offsets.get((topic, partition), self.everywhere)


def parse_place(text: str, option: str, topics: Sequence[str]) -> Place:
    """Read ``--from`` or ``--until``.

    Args:
        text: as it was given.
        option: ``--from`` or ``--until``.
        topics: that are recorded; where there is one, offsets need not name it.

    Raises:
        BadInputError: if it says nothing that is known.
    """
    text = text.strip()
    if (word := _WORDS[option].get(text)) is not None:
        return Place(word)
    if found := _EPOCH_MS(text):
        return Place("time", at_ms=int(found[1]))
    if option == "--until" and (found := _DURATION(text)) and float(found[1]) > 0:
        return Place("seconds", seconds=float(found[1]) * _UNITS[found[2]])
    if text.isdecimal() and int(text) <= _MAX_OFFSET:
        return Place("offsets", everywhere=int(text))
    if "=" in text:
        return Place("offsets", offsets=_offsets(text, option, topics))
    return Place("time", at_ms=_iso_ms(text, option))


def check_span(begin: Place, until: Place) -> None:
    """See that something may lie between two places.

    Raises:
        BadInputError: if one is not before the other, in time or in a partition.
    """
    if begin.kind == until.kind == "time" and begin.at_ms >= until.at_ms:
        found = f"--from {begin.at_ms}ms is not before --until {until.at_ms}ms"
        raise BadInputError("arguments", found, "give a time before the other")
    if not begin.kind == until.kind == "offsets":
        return
    if begin.everywhere is not None and until.everywhere is not None and begin.everywhere >= until.everywhere:
        found = f"--from {begin.everywhere} is not before --until {until.everywhere}"
        raise BadInputError("arguments", found, "give an offset before the other")
    for topic, partition in {**begin.offsets, **until.offsets}:
        first, end = begin.offset_in(topic, partition), until.offset_in(topic, partition)
        if first is not None and end is not None and first > end:
            found = f"{topic}:{partition}: --from {first} is behind --until {end}"
            raise BadInputError("arguments", found, "give an offset before the other")


def _offsets(text: str, option: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    offsets: dict[tuple[str, int], int] = {}
    for part in text.split(","):
        found = _PARTITION(part.strip())
        if found is None or int(found["offset"]) > _MAX_OFFSET:
            raise BadInputError("arguments", f"{option}: {part!r} is no offset", "write topic:0=1200,topic:1=7")
        if found["topic"] is None and len(topics) != 1:
            raise BadInputError("arguments", f"{option}: {part!r} names no topic", f"say of which: {', '.join(topics)}")
        topic = found["topic"] or topics[0]
        if topic not in topics:
            raise BadInputError("arguments", f"{option}: topic {topic!r} is not recorded", ", ".join(topics) + " are")
        place = (topic, int(found["partition"]))
        if place in offsets:
            raise BadInputError("arguments", f"{option}: {topic}:{place[1]} comes twice", "give one offset for each")
        offsets[place] = int(found["offset"])
    return offsets


def _iso_ms(text: str, option: str) -> int:
    """Read a time of ISO 8601 that says its offset from UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError("arguments", f"{option} {text!r}", f"give {_ALLOWED[option]}{_TIMES}") from None
    if time.tzinfo is None:
        fix = f"say which: {text}Z for UTC, or {text}+07:00"
        raise BadInputError("arguments", f"{option} {text!r} is a time of no time zone", fix)
    return round(time.timestamp() * 1000)
