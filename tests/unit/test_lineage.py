"""Which lineage a recovery goes on from, and what it refuses."""

from __future__ import annotations

import pytest

from schemas.errors import BadInputError
from schemas.topics import STATE_CHANGELOG
from streams.lineage import claim_of, identity_key, recover, state_key

CLAIM = dict([claim_of(7, "somebody")])


def test_keys():
    assert CLAIM == {b"7|claim": b"somebody"}
    assert state_key(7, 12) == b"7|12|"
    assert state_key(7, 12, "run-1|cho") == b"7|12|run-1|cho"


def test_nothing_is_there():
    found = recover(7, CLAIM | {b"77|1|": b"another's", b"8|1|r|a": b"another's"})
    assert (found.own, found.cells, found.epochs) == (None, [], {})


def test_the_identity_of_the_changelog_is_no_state():
    assert identity_key(7) == b"7|identity"
    found = recover(7, CLAIM | {identity_key(7): b"a name", b"7|4|": b"own 4"})
    assert (found.own, found.cells, found.keys_before(9)) == (b"own 4", [], [b"7|4|"])


def test_the_newest_lineage_with_an_own_state_is_taken_whole():
    table = {b"7|4|": b"own 4", b"7|4|r|a": b"a 4", b"7|9|": b"own 9", b"7|9|r|a": b"a 9", b"7|9|r|b": b"b 9"}
    table |= {b"7|4|r|c": b"c 4", b"7|12|r|a": b"a 12", **CLAIM}
    found = recover(7, table)
    assert (found.own, sorted(found.cells)) == (b"own 9", [b"a 9", b"b 9"])
    assert sorted(found.keys_before(12)) == [b"7|4|", b"7|4|r|a", b"7|4|r|c", b"7|9|", b"7|9|r|a", b"7|9|r|b"]


def test_epochs_are_numbers():
    assert recover(7, {b"7|9|": b"own 9", b"7|10|": b"own 10"}).own == b"own 10"


def test_cells_without_an_own_state_are_garbage():
    found = recover(7, {b"7|4|r|a": b"a"})
    assert (found.own, found.cells, found.keys_before(5)) == (None, [], [b"7|4|r|a"])


@pytest.mark.parametrize(
    "key",
    [
        b"7|",
        b"7|run-1|cho-binh-an",
        b"7|2026|cho-binh-an",
        b"7|\xff|",
        b"7|x|",
        b"7|5",
        b"7|-5|",
        b"7|" + b"9" * 20 + b"|",
    ],
)
def test_the_state_of_another_version_is_refused(key):
    with pytest.raises(BadInputError, match=f"delete {STATE_CHANGELOG}"):
        recover(7, {b"7|4|": b"own", key: b"?"})
