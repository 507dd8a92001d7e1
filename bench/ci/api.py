"""A forge's API over HTTP: what it refuses, what is worth another attempt, and a token that is seen by nobody else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ...core.errors import BenchError

T = TypeVar("T")

_ATTEMPTS = 5
_LONGEST = 60.0
"""Seconds between two attempts at most: as long as GitHub asks to wait after its secondary limit."""
_TIMEOUT = 30.0


class RefusedError(BenchError):
    """The token has no right to do it."""


class BusyError(BenchError):
    """It may go well later."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds
        """How long the server asks to wait; None where it does not."""


def patiently(attempt: Callable[[], T]) -> T:
    """Return what ``attempt`` does, called again while it raises BusyError: five times in all, then that is raised."""
    for number in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except BusyError as busy:
            time.sleep(min(2.0**number if busy.seconds is None else busy.seconds, _LONGEST))
    return attempt()


@dataclass(frozen=True)
class Api:
    """The address of an API, and the token with the header that it goes into."""

    address: str
    header: str
    token: str
    scheme: str = ""
    """What stands before the token: ``Bearer``."""

    def call(self, method: str, path: str, data: Mapping[str, str] | None = None) -> Any:
        """Return the JSON that the server answers.

        Raises RefusedError where the token has no right to it, BusyError for what is worth another attempt, else
        BenchError.
        """
        body = None if data is None else json.dumps(data).encode()
        headers = {self.header: f"{self.scheme} {self.token}".strip(), "Content-Type": "application/json"}
        request = Request(f"{self.address}/{path}", body, {**headers, "User-Agent": "t2ibench"}, method=method)
        try:
            with _OPENER.open(request, timeout=_TIMEOUT) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            with error:
                raise self._problem(error) from None
        except (URLError, HTTPException, OSError) as error:
            raise BusyError(self._said(f"cannot be reached: {getattr(error, 'reason', error)}")) from None
        except ValueError:
            raise BenchError(self._said("answers what is no JSON: is it the address of an API?")) from None

    def _problem(self, error: HTTPError) -> BenchError:
        text = _message(error)
        said = self._said(f"answers {error.code}{f', {text}' if text else ''}")
        if error.code >= 500 or error.code == 429 or (error.code == 403 and _is_limit(error.headers, text)):
            return BusyError(said, _seconds(error.headers))
        if 300 <= error.code < 400:
            return BenchError(f"{said} and sends elsewhere: is the address of the API right?")
        return RefusedError(f"{said} (a fork's token may only read)") if error.code == 403 else BenchError(said)

    def _said(self, text: str) -> str:
        said = f"{urlsplit(self.address).hostname} {text}"
        return said.replace(self.token, "***") if self.token else said


class _Stay(HTTPRedirectHandler):
    """Follows no redirection: it would take the token along to wherever the server says."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


_OPENER = build_opener(_Stay)


def _message(error: HTTPError) -> str:
    """What the server says of the problem; empty where it says nothing that can be read."""
    try:
        data = json.loads(error.read())
    except (ValueError, OSError, HTTPException):
        return ""
    return str(data.get("message") or data.get("error") or "")[:200] if isinstance(data, dict) else ""


def _is_limit(headers: Message, text: str) -> bool:
    """Whether a 403 is one of GitHub's limits, and not a right that is missing."""
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or "rate limit" in text.lower()


def _seconds(headers: Message) -> float | None:
    """How long to wait by ``Retry-After``; None where that is not a number of seconds."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
