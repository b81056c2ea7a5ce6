"""The page's HTTP: the page itself, what it shows as JSON and as a stream, and orders to the scenario.

In: requests. Out: responses; orders on ``quetma.interventions``. `Guard`s stand before it: see `services.page.guard`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Header, Query
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles

from schemas.errors import UnreachableError
from schemas.types import Identifier
from services.page.guard import BrowserHeaders, ChangeGuard, HostGuard
from services.page.orders import InterventionRequest, Order, PaceRequest
from services.page.problems import FieldError, ProblemError, of_http, of_problem, of_validation, responses
from services.page.snapshots import Snapshots, gzipped
from services.page.view import PageView

STATIC: Final = Path(__file__).parent / "static"
MAX_STREAMS: Final = 50
JSON: Final = "application/json"

RunQuery = Annotated[Identifier | None, Query(description="A run that is kept; the newest if left out.")]
Publish = Callable[[Order], Awaitable[None]]


@dataclass(frozen=True)
class PageParts:
    """What the API is made of."""

    view: PageView
    snapshots: Snapshots
    publish: Publish
    token: str
    names: frozenset[str]
    changes_per_minute: int
    version: str


class Accepted(BaseModel):
    """An order that the broker has. What producers make of it follows in ``orders`` of the state."""

    id: str
    """The order's, unique in its run."""
    run: str


def build_app(parts: PageParts) -> FastAPI:
    """Return the application, without the exporter's own paths."""
    app = FastAPI(
        title="Quetma",
        version=parts.version,
        summary="What a running simulation does, and a hand on it.",
        docs_url=None,  # they would come from a CDN
        redoc_url=None,
    )
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(ProblemError, of_problem)
    app.include_router(_reads(parts))
    app.include_router(_changes(parts))
    _add_files(app)
    # The last one added is the first one asked.
    app.add_middleware(ChangeGuard, token=parts.token, per_minute=parts.changes_per_minute)
    app.add_middleware(HostGuard, names=parts.names)
    app.add_middleware(BrowserHeaders)
    return app


def _reads(parts: PageParts) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["state"])
    open_streams = 0

    @router.get("/state", responses={**_json("the sections of the page"), **responses(404, 422)})
    async def state(run: RunQuery = None) -> Response:
        """Return everything that the page shows of a run."""
        return Response(parts.snapshots.document(_known(parts.view, run)), media_type=JSON)

    @router.get("/stream", responses={200: {"content": {"text/event-stream": {}}}, **responses(404, 422, 503)})
    async def stream(
        run: RunQuery = None, accept_encoding: Annotated[str, Header(include_in_schema=False)] = ""
    ) -> Response:
        """Push the same as server-sent events ``state``: all sections at first, then those that have changed."""
        nonlocal open_streams
        if open_streams >= MAX_STREAMS:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_STREAMS} streams are open; close one")
        chosen = _known(parts.view, run)

        async def counted() -> AsyncIterator[bytes]:
            nonlocal open_streams
            open_streams += 1
            try:
                async for event in parts.snapshots.stream(chosen):
                    yield event
            finally:
                open_streams -= 1

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if "gzip" in accept_encoding:
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            return StreamingResponse(gzipped(counted()), media_type="text/event-stream", headers=headers)
        return StreamingResponse(counted(), media_type="text/event-stream", headers=headers)

    @router.get("/communes/{id}", responses={**_json("one commune"), **responses(404, 422)})
    async def commune(
        id: Annotated[str, PathParameter(min_length=1, max_length=64)],  # noqa: A002  # the path's own word
        run: RunQuery = None,
    ) -> Any:
        """Return one commune: its newest day, its curve, its markets, its payments by sector and method."""
        chosen = _known(parts.view, run) or parts.view.newest()
        found = parts.view.commune(id, chosen) if chosen is not None else None
        if found is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"no commune {id!r} in run {chosen!r}; /api/state lists them")
        return found

    @router.get("/runs", responses=_json("the runs that are kept, the newest first"))
    async def runs() -> Any:
        """Return the runs that can be shown."""
        return parts.view.runs()

    return router


def _changes(parts: PageParts) -> APIRouter:
    # The guard has asked for the token before; this says so in the OpenAPI document.
    told = Depends(HTTPBearer(auto_error=False, description="printed by `quetma serve` at its start"))
    router = APIRouter(prefix="/api", tags=["orders"], dependencies=[told])
    wrong = responses(400, 401, 403, 404, 409, 413, 422, 429, 503)
    status = HTTPStatus.ACCEPTED

    @router.post("/interventions", status_code=status, responses=wrong)
    async def intervene(wanted: InterventionRequest) -> Accepted:
        """Order an intervention: it begins on the first simulated day that has not begun to be made."""
        run = _run_for(parts.view, wanted.run)
        _check_places(parts.view, run, wanted.intervention.place)
        return await _send(parts.publish, wanted.order(run, _now_ms()))

    @router.post("/pace", status_code=status, responses=wrong)
    async def pace(wanted: PaceRequest) -> Accepted:
        """Order a speed or a pause; it takes effect at once, and changes no payment."""
        return await _send(parts.publish, wanted.order(_run_for(parts.view, wanted.run), _now_ms()))

    return router


def _add_files(app: FastAPI) -> None:
    """Serve the page, and Plotly's JavaScript from the installed package: nothing comes from elsewhere."""
    found = find_spec("plotly")
    assert found is not None
    assert found.origin is not None
    plotly = Path(found.origin).parent / "package_data" / "plotly.min.js"

    async def script(_: Request) -> Response:
        return FileResponse(plotly, media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})

    async def index(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    app.add_route("/", index, methods=["GET"], include_in_schema=False)
    files = FastAPI(openapi_url=None)
    files.add_exception_handler(HTTPException, of_http)
    files.add_route("/plotly.min.js", script, methods=["GET"])
    files.mount("/", StaticFiles(directory=STATIC))
    app.mount("/static", GZipMiddleware(files, compresslevel=4))


def _known(view: PageView, run: str | None) -> str | None:
    if run is not None and not view.has(run):
        raise _unknown_run(view, run)
    return run


def _run_for(view: PageView, run: str | None) -> str:
    chosen = _known(view, run) or view.newest()
    if chosen is None:
        raise ProblemError(HTTPStatus.CONFLICT, "there is no run yet; start one with `quetma produce`")
    return chosen


def _unknown_run(view: PageView, run: str) -> ProblemError:
    known = ", ".join(one["run"] for one in view.runs()) or "none"
    return ProblemError(HTTPStatus.NOT_FOUND, f"no run {run!r}; runs that are kept: {known}")


def _check_places(view: PageView, run: str, places: tuple[str, ...]) -> None:
    known = view.communes_of(run)
    unknown = [place for place in places if place not in known]
    if unknown:
        allowed = f"a commune or market of {run}, of which there are {len(known)}; /api/state lists them"
        errors = [FieldError(place="body.intervention.place", found=place, allowed=allowed) for place in unknown]
        # As with an unknown run: the request is well made, and what it names is not there.
        raise ProblemError(HTTPStatus.NOT_FOUND, f"place: {', '.join(unknown)}: not {allowed}", *errors)


async def _send(publish: Publish, order: Order) -> Accepted:
    try:
        await publish(order)
    except UnreachableError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
    return Accepted(id=order.id, run=order.run)


def _json(meaning: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": meaning, "content": {JSON: {}}}}


def _now_ms() -> int:
    return int(time.time() * 1000)
