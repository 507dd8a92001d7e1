"""``bench comment``: Markdown as one comment on a pull request, updated in place, and in a GitHub job's summary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import BenchError, printable
from .api import RefusedError, patiently
from .forge import find_pull_request
from .github import append

_SUMMARY_BYTES = 1_000_000
"""GitHub takes a mebibyte for a step, and nothing of a longer summary."""


def comment_command(files: Sequence[Path], name: str, pull_request: int | None) -> int:
    """Publish Markdown files, one below the other; see ``bench comment``. Returns the exit status.

    Raises BenchError where the server fails, and where neither a comment nor a summary can be written.
    """
    text = "\n\n".join(_read(file) for file in files)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    said, problem = _comment(text, name, pull_request)
    if summary:
        lacking = [] if problem is None else [f"> {printable(said)}", ""]
        append(Path(summary), [*lacking, text.encode()[:_SUMMARY_BYTES].decode(errors="ignore")])
        said = f"{said}; the job's summary has the report"
    if problem is not None and (not summary or not isinstance(problem, RefusedError)):
        raise problem
    print(printable(said))
    return 0


def _comment(text: str, name: str, pull_request: int | None) -> tuple[str, BenchError | None]:
    """What became of the comment, and the reason where there is none; a RefusedError if it is nobody's fault."""
    try:
        pull = find_pull_request(pull_request)
        if pull is None:
            raise RefusedError("this job is about no pull request: name one with --pull-request")
        if not pull.api.token:
            raise RefusedError(f"{pull.variable} is not set")
        return patiently(lambda: pull.write(name, text)), None
    except BenchError as problem:
        return f"no comment: {problem}", problem


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read '{file}': {error}") from error
