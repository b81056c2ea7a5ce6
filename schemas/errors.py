"""Errors a user can act on: where it happened, what was found, what is allowed.

In: the facts of a failure. Out: one line for people, one exit code for machines.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller."""

    DONE = 0
    CHECK_FAILED = 1
    BAD_INPUT = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


class QuetmaError(Exception):
    """Base of every error that Quetma raises on purpose.

    Args:
        stage: where it happened, such as ``scenario`` or ``publish``.
        found: the offending value or state, in words.
        fix: what is allowed, or what to do.
    """

    exit_code: ExitCode = ExitCode.BAD_INPUT

    def __init__(self, stage: str, found: str, fix: str) -> None:
        self.stage, self.found, self.fix = stage, found, fix
        super().__init__(f"{stage}: {found}. {fix}")


class BadInputError(QuetmaError):
    """A value that the user gave is not allowed."""


class CheckFailedError(QuetmaError):
    """A check came out negative: not exact, a threshold missed."""

    exit_code = ExitCode.CHECK_FAILED


class UnreachableError(QuetmaError):
    """A broker or another service does not answer."""

    exit_code = ExitCode.UNREACHABLE
