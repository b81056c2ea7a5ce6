"""The exporter: adoption topics to Prometheus and to the live page, with health and readiness.

In: the adoption topics and the ledger, from their beginning on. Out: ``/metrics``, ``/healthz``, ``/readyz``, and what
`services.page` makes of the same records.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from schemas.events import DeadLetterReason
from schemas.metrics import Metrics
from schemas.settings import Settings
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, ALERTS, DEAD_LETTERS, LEDGER
from services.lag_watch import watch_lag
from services.page.api import PageParts, build_app
from services.page.figures import Figures
from services.page.orders import publish_order
from services.page.server import serving
from services.page.snapshots import Snapshots
from services.page.tails import Tails
from services.page.tokens import token_of
from services.page.view import Health, PageView
from services.processes import ended
from services.topic_reader import partitions_of
from services.version import VERSION
from services.views import Views
from streams.offsets import fetched_ends

TOPICS = (ADOPTION_COMMUNE, ADOPTION_MARKET, ALERTS, DEAD_LETTERS, LEDGER)
SILENCE_SECONDS = 15.0
"""A reader that has not come round for so long is not healthy."""
FETCH_WAIT_MS = 100
RETRY_SECONDS = 1.0

log = logging.getLogger("quetma.exporter")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Exporter:
    """Reads topics into a view, and answers scrapes."""

    def __init__(self, settings: Settings) -> None:
        assert settings.kafka.bootstrap_servers is not None
        self._settings = settings
        self._servers = settings.kafka.bootstrap_servers
        self.registry = CollectorRegistry()
        self.metrics = Metrics("serve", self.registry, VERSION)
        self.views = Views()
        self.page = PageView()
        self._page_learners = {LEDGER: self.page.learn_ledger, ALERTS: self.page.learn_alert}
        self.token = token_of(settings.serve)
        self._figures = Figures(self.metrics)
        self._snapshots = Snapshots(self.page, self._health)
        self._last_letter: dict[int, int] = {}
        for reason in DeadLetterReason:  # one that has not occurred is 0, not absent
            self.metrics.counter("quetma_dead_letter_records").labels(reason=reason)
        self._ready = False
        self._read_at = time.monotonic()

    async def run(self, stop: asyncio.Event, on_listening: Any = None) -> None:
        """Serve until ``stop`` is set; ``on_listening`` is called with the port."""
        tails = Tails(self._servers, self.page)
        watch = partial(watch_lag, self._servers, self.metrics)
        work = (self._read, watch, tails.follow, tails.sample, tails.read_codes)
        async with serving(self.application(), self._settings.serve, self._snapshots.closing) as port:
            if on_listening is not None:
                on_listening(port)
            tasks = [asyncio.create_task(self._for_ever(one)) for one in work]
            stopping = asyncio.create_task(stop.wait())
            try:
                done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopping}:
                    task.result()
            finally:
                await ended([*tasks, stopping])

    def application(self) -> ASGIApp:
        """Return the HTTP application: our own paths, and the page's."""
        serve = self._settings.serve
        app = build_app(
            PageParts(
                view=self.page,
                snapshots=self._snapshots,
                publish=partial(publish_order, self._servers),
                token=self.token,
                names=frozenset(name.strip().lower() for name in serve.names.split(",") if name.strip()),
                changes_per_minute=serve.changes_per_minute,
                version=VERSION,
            )
        )
        for path, answer in (("/metrics", self._metrics), ("/healthz", self._healthz), ("/readyz", self._readyz)):
            app.add_route(path, answer, methods=["GET"], include_in_schema=False)
        return app

    async def _metrics(self, _request: Request) -> Response:
        return Response(generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _request: Request) -> Response:
        silent = time.monotonic() - self._read_at
        return _answer(ok=silent < SILENCE_SECONDS, found=f"topics read {silent:.1f} s ago")

    async def _readyz(self, _request: Request) -> Response:
        return _answer(ok=self._ready, found="all topics read" if self._ready else "still reading topics")

    def _health(self) -> Health:
        return self._figures.health(silent_seconds=time.monotonic() - self._read_at, ready=self._ready)

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (KafkaError, TimeoutError) as error:
                log.warning("%s: %r; trying again", self._servers, error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers.split(","),
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        await consumer.start()
        try:
            places = await partitions_of(self._servers, TOPICS)
            ends = await fetched_ends(consumer, places)
            await consumer.seek_to_beginning(*places)
            await self._read_ledger_first(consumer, ends)
            while True:
                fetched = await consumer.getmany(timeout_ms=1000, max_records=5000)
                now = time.time()
                for place, records in fetched.items():
                    self._take(records, now, news_from=ends[place])
                self._read_at = time.monotonic()
                if not self._ready:
                    await self._look_whether_ready(consumer, ends)
        finally:
            await consumer.stop()

    async def _read_ledger_first(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        """Learn which runs there are, before the adoption of runs that are not shown any more comes."""
        ledger = [place for place in ends if place.topic == LEDGER]
        others = [place for place in ends if place.topic != LEDGER]
        consumer.pause(*others)
        while any([await consumer.position(place) < ends[place] for place in ledger]):
            for place, records in (await consumer.getmany(*ledger, timeout_ms=1000, max_records=5000)).items():
                self._take(records, time.time(), news_from=ends[place])
            self._read_at = time.monotonic()
        consumer.resume(*others)

    async def _look_whether_ready(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        """Show the view once it is whole: half-read totals would look like counters that were reset."""
        self._ready = all([await consumer.position(place) >= end for place, end in ends.items()])
        if self._ready:
            self.registry.register(self.views)

    def _take(self, records: list[Any], now: float, *, news_from: int) -> None:
        """Learn records of one partition; those before ``news_from`` tell what was, not how long it took."""
        for record in records:
            try:
                self._learn(record, now if record.offset >= news_from else None)
            except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
                place = f"{record.topic}-{record.partition}, offset {record.offset}"
                log.warning("%s: not one of ours, passed over: %r", place, error)
        self.metrics.counter("quetma_adoption_records").labels(topic=records[0].topic).inc(len(records))

    def _learn(self, record: Any, now: float | None) -> None:
        if record.topic == DEAD_LETTERS:
            self._count_letter(record)
            return
        document = _decode(record.value or b"")
        self.views.learn(record.topic, document, record.partition)
        self._page_learners.get(record.topic, self.page.learn_adoption)(document)
        if now is None:
            return
        latency = self.metrics.histogram("quetma_event_to_metric_seconds")
        for name, value in record.headers:
            if name == "probes":
                for sent_at in value.split(b","):
                    latency.observe(max(0.0, now - int(sent_at) / 1000))

    def _count_letter(self, record: Any) -> None:
        """Count a dead letter, unless it repeats one: a partition's are written in order of their offsets."""
        _, partition, offset = record.key.decode().rsplit("-", 2)
        if int(offset) > self._last_letter.get(int(partition), -1):
            self._last_letter[int(partition)] = int(offset)
            reason = DeadLetterReason(dict(record.headers)["reason"].decode())
            self.metrics.counter("quetma_dead_letter_records").labels(reason=reason).inc()


def _answer(*, ok: bool, found: str) -> Response:
    media_type = "application/json; charset=utf-8"
    return JSONResponse({"ok": ok, "found": found}, status_code=200 if ok else 503, media_type=media_type)
