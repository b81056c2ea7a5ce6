"""`quetma stream` and `quetma serve`: the worker and the exporter.

In: arguments. Out: running processes.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from pathlib import Path

import mode.loop
import uvloop
from prometheus_client import CollectorRegistry

from schemas.metrics import Metrics
from schemas.settings import Settings
from services.broker import check_reachable
from services.options import BrokerOption, QuietOption, settings_for
from services.output import say
from services.processes import serve_metrics, set_up_logging, until_stopped
from services.topic_admin import payment_partitions
from services.version import VERSION
from services.worker_end import WorkerEnd

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # what one may ask to listen on, and no browser can open
YOUNG_OBJECTS = 100_000
"""New objects after which Python looks for cycles among them. A fetch has many thousands of records and no cycles;
with the usual 700 a tenth of the worker's time went into looking."""


def stream(*, broker: BrokerOption = None, quiet: QuietOption = False) -> None:
    """Run one stream worker. Start as many as the payments topic has partitions, on as many machines."""
    set_up_logging(quiet=quiet)
    settings = settings_for(broker)
    partitions = uvloop.run(_check(settings))
    mode.loop.use("uvloop")  # before Faust is imported
    from streams.app import StreamWorker, worker_of  # noqa: PLC0415  # see above

    metrics = Metrics("stream", CollectorRegistry(), VERSION)
    port = serve_metrics(metrics.registry, settings.serve.host, settings.stream.metrics_port)
    if not quiet:
        host = settings.serve.host
        say(f"streaming from {settings.kafka.bootstrap_servers}; metrics on http://{host}:{port}/metrics")
    _look_less_for_garbage()
    try:
        with tempfile.TemporaryDirectory(prefix="quetma-stream-") as folder:
            running = worker_of(StreamWorker(settings, metrics, Path(folder) / "data", partitions), quiet=quiet)
            end = WorkerEnd(running)
            end.watch()
            running.execute_from_commandline()
    except SystemExit as ended:
        if ended.code not in {None, 0}:
            end.start_anew_after_a_crash()
        raise


def _look_less_for_garbage() -> None:
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


async def _check(settings: Settings) -> int:
    assert settings.kafka.bootstrap_servers is not None
    await check_reachable(settings.kafka.bootstrap_servers, settings.kafka.connect_timeout_seconds)
    return await payment_partitions(settings.kafka)


def serve(*, broker: BrokerOption = None, quiet: QuietOption = False) -> None:
    """Run the live page with its API, and the Prometheus exporter: /, /metrics, /healthz, /readyz."""
    set_up_logging(quiet=quiet)
    settings = settings_for(broker)
    uvloop.run(_serve(settings, quiet=quiet))


async def _serve(settings: Settings, *, quiet: bool) -> None:
    from services.exporter import Exporter  # noqa: PLC0415  # with its web server, which workers need not wait for

    assert settings.kafka.bootstrap_servers is not None
    await check_reachable(settings.kafka.bootstrap_servers, settings.kafka.connect_timeout_seconds)
    exporter = Exporter(settings)
    _look_less_for_garbage()

    def listening(port: int) -> None:
        if not quiet:
            host = settings.serve.host
            where = f"http://{'127.0.0.1' if host in EVERYWHERE else host}:{port}"
            say(f"page on {where}/; metrics on {where}/metrics")
            if settings.serve.token is None:
                say(f"token for changes by the page: {exporter.token}")
                say(f"page with the token: {where}/#token={exporter.token}")

    async def work(stop: asyncio.Event) -> None:
        await exporter.run(stop, listening)

    await until_stopped(work)
