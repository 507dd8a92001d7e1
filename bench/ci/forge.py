"""The pull request that a job of GitHub or GitLab is about, and its comments."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...core.errors import BenchError
from .api import Api, RefusedError

_PAGE = 100
_PAGES = 100


@dataclass(frozen=True)
class PullRequest:
    """A pull request, or a merge request, and how its comments are read and written."""

    api: Api
    comments: str
    """The path that lists them and takes new ones."""
    comment: str
    """The path of one, with ``{}`` for its number."""
    update: str
    """The HTTP method that changes one."""
    author: tuple[str, str]
    """Under which keys a comment has its author, and an author the name."""
    longest: int
    """Characters of a comment."""
    footer: str
    """One line of Markdown: what was measured, and its job."""
    variable: str
    """The environment variable of the token."""

    def write(self, name: str, text: str) -> str:
        """Update the comment of this name, or write it where there is none; what became of it.

        Raises RefusedError where the token has no right to it, BusyError for what is worth another attempt, else
        BenchError.
        """
        marker = f"<!-- t2ibench: {re.sub('[^A-Za-z0-9._ -]', '_', name)} -->"
        room = self.longest - len(marker) - len(self.footer) - 4
        body = {"body": f"{marker}\n{cut(text, room)}\n\n{self.footer}\n"}
        found = self._find(marker)
        if found is None:
            self.api.call("POST", self.comments, body)
            return "wrote a comment"
        self.api.call(self.update, self.comment.format(found), body)
        return "updated the comment"

    def _find(self, marker: str) -> int | None:
        owner = self._owner()
        own = (comment["id"] for comment in self._all()
               if str(comment["body"]).startswith(marker) and self._is_by(comment, owner))  # fmt: skip
        return next(own, None)

    def _all(self) -> Iterator[Any]:
        for page in range(1, _PAGES + 1):
            found = self.api.call("GET", f"{self.comments}?per_page={_PAGE}&page={page}")
            yield from found
            if len(found) < _PAGE:
                return

    def _owner(self) -> str | None:
        """Whose token it is; None for that of an app, such as a GitHub job's own, which may not ask."""
        try:
            return str(self.api.call("GET", "user")[self.author[1]])
        except RefusedError:
            return None

    def _is_by(self, comment: Mapping[str, Any], owner: str | None) -> bool:
        # Anyone may write the marker: nobody else's comment is taken for ours.
        author = comment[self.author[0]] or {}
        return bool(author.get("type") == "Bot" if owner is None else author.get(self.author[1]) == owner)


def find_pull_request(number: int | None, environment: Mapping[str, str] = os.environ) -> PullRequest | None:
    """Return the pull request of this job of GitHub or GitLab, or number ``number`` of its repository.

    None where the job is about none. Raises BenchError outside of such jobs.
    """
    if "CI_API_V4_URL" in environment:
        return _gitlab(number, environment)
    if "GITHUB_REPOSITORY" in environment:
        return _github(number, environment)
    raise BenchError(
        "this is no job of GitHub or GitLab: set GITHUB_REPOSITORY (owner/name) or CI_API_V4_URL and CI_PROJECT_ID"
    )


def cut(text: str, longest: int) -> str:
    """Cut text to at most ``longest`` characters, at the end of a line, and say so."""
    if len(text) <= longest:
        return text
    kept = text[: max(0, longest - len(_CUT))]
    return kept[: kept.rfind("\n") + 1 or None] + _CUT


_CUT = "\n*Cut here: the report has the rest.*"


def github_event(environment: Mapping[str, str] = os.environ) -> Mapping[str, Any]:
    """Return what GitHub says of the event that began the job; empty where it says nothing."""
    try:
        found = json.loads(Path(environment.get("GITHUB_EVENT_PATH") or os.devnull).read_bytes() or b"{}")
    except (OSError, ValueError) as error:
        raise BenchError(f"GITHUB_EVENT_PATH: {error}") from error
    return found if isinstance(found, dict) else {}


def _github(number: int | None, environment: Mapping[str, str]) -> PullRequest | None:
    event = github_event(environment)
    pull = event.get("pull_request") or {}
    issue = event.get("issue") or {}
    number = number or pull.get("number") or (issue.get("number") if "pull_request" in issue else None)
    if not number:
        return None
    repository = environment["GITHUB_REPOSITORY"]
    commit = str((pull.get("head") or {}).get("sha") or environment.get("GITHUB_SHA", ""))
    job = f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}/actions/runs/"
    root = f"repos/{quote(repository)}/issues"
    return PullRequest(
        Api(
            environment.get("GITHUB_API_URL") or "https://api.github.com",
            "Authorization",
            environment.get("GITHUB_TOKEN", ""),
            "Bearer",
        ),
        comments=f"{root}/{number}/comments",
        comment=f"{root}/comments/{{}}",
        update="PATCH",
        author=("user", "login"),
        longest=65_536,
        footer=_footer(commit, job + environment["GITHUB_RUN_ID"] if "GITHUB_RUN_ID" in environment else ""),
        variable="GITHUB_TOKEN",
    )


def _gitlab(number: int | None, environment: Mapping[str, str]) -> PullRequest | None:
    found = number or environment.get("CI_MERGE_REQUEST_IID")
    if not found:
        return None
    root = f"projects/{quote(environment.get('CI_PROJECT_ID', ''), safe='')}/merge_requests/{found}/notes"
    return PullRequest(
        Api(environment["CI_API_V4_URL"], "PRIVATE-TOKEN", environment.get("GITLAB_TOKEN", "")),
        comments=root,
        comment=f"{root}/{{}}",
        update="PUT",
        author=("author", "username"),
        longest=1_000_000,
        footer=_footer(environment.get("CI_COMMIT_SHA", ""), environment.get("CI_JOB_URL", "")),
        variable="GITLAB_TOKEN",
    )


def _footer(commit: str, job: str) -> str:
    return f"<sub>{' · '.join(filter(None, (commit[:7], job and f'[job and report]({job})')))}</sub>"
