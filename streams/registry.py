"""The worker's copy of ``quetma.cells``: which cells each run has announced.

In: the topic, read from its beginning and then as far as it goes. Out: look-ups.
A producer announces its cells, acknowledged, before their first payment; so a cell that is unknown after a refresh
was never announced.
"""

from __future__ import annotations

from aiokafka import TopicPartition
from pydantic import ValidationError

from schemas.events import Cell
from schemas.topics import CELLS
from streams.offsets import read_to_end

_PLACE = TopicPartition(CELLS, 0)


class CellRegistry:
    """Implements `streams.fold.Registry`."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._cells: dict[tuple[str, str], Cell] = {}
        self._next_offset = 0

    def get(self, run: str, cell: str) -> Cell | None:
        """Return what a run announced of a cell."""
        return self._cells.get((run, cell))

    async def refresh(self) -> None:
        """Read what has been announced since the last time."""
        self._next_offset = await read_to_end(self._servers, _PLACE, self._next_offset, self._learn)

    def _learn(self, _offset: int, _key: bytes, value: bytes | None) -> None:
        try:
            cell = Cell.model_validate_json(value or b"")
        except ValidationError:
            return  # not ours: a payment that names it will be set aside
        self._cells[cell.run, cell.cell] = cell
