"""Errors of the API as RFC 9457 has them: one JSON object that says what was wrong, where, and what is allowed.

In: what happened. Out: a response of type ``application/problem+json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

MEDIA_TYPE: Final = "application/problem+json"
MAX_INPUT: Final = 200
"""Characters of an offending value that are told back."""


class FieldError(BaseModel):
    """One thing wrong with a request."""

    place: str
    """Where: such as ``body.intervention.outage.for_hours``."""
    found: str
    """The offending value."""
    allowed: str
    """What would be right."""


class Problem(BaseModel):
    """What went wrong, by RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, detail: str, *errors: FieldError) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


def problem(
    status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response that tells of a problem."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors))
    return JSONResponse(body.model_dump(), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


async def of_http(_: Request, error: Exception) -> Response:
    """Answer an unknown path or method."""
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def of_problem(_: Request, error: Exception) -> Response:
    """Answer with the problem that was raised."""
    assert isinstance(error, ProblemError)
    return problem(error.status, error.detail, error.errors)


async def of_validation(_: Request, error: Exception) -> Response:
    """Answer a request that is not as the models say, with everything that is wrong."""
    assert isinstance(error, RequestValidationError)
    wrong = [
        FieldError(
            place=".".join(map(str, item["loc"])),
            found=_shown(item.get("input")),
            allowed=str(item["msg"]),
        )
        for item in error.errors()
    ]
    detail = "; ".join(f"{one.place}: {one.allowed}" for one in wrong)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, wrong)


def _shown(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else repr(value)
    return text.encode(errors="replace").decode()[:MAX_INPUT]


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how the OpenAPI document tells of problems."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
        for status in statuses
    }


_SCHEMA: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["place", "found", "allowed"],
                "properties": {name: {"type": "string"} for name in ("place", "found", "allowed")},
            },
        },
    },
}
