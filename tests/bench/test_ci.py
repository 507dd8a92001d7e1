"""A verdict in continuous integration: JUnit, annotations, outputs, and one comment, against a stand-in for the API."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from t2ibench.bench.ci.forge import cut
from t2ibench.bench.ci.github import annotation_lines, command, set_outputs
from t2ibench.bench.ci.junit import junit_xml
from t2ibench.bench.ci.outcomes import WHOLE, cases
from t2ibench.bench.gating.gate import Gate

Bench = Callable[..., tuple[int, str, str]]

TOKEN = "ghs_secret-of-the-job"


def gate_of(verdict: str, *rows: dict[str, Any], notes: tuple[str, ...] = ()) -> Gate:
    run = {"path": "runs/x", "suite": "mini", "created": "2026-01-01", "seed": 0}
    return Gate.model_validate(
        {"schema": 1, "verdict": verdict, "base": run, "head": run, "level": 0.95, "tests": 2, "rows": list(rows),
         "only_base": [], "only_head": [], "notes": list(notes)}
    )  # fmt: skip


def row(metric: str, verdict: str, reason: str, **more: Any) -> dict[str, Any]:
    found = {"method": "sd15[steps=8]", "metric": metric, "kind": "quality", "base": 1.0, "head": 2.0, "change": 1.0,
             "interval": [0.5, 1.5], "higher_is_better": False, "verdict": verdict, "reason": reason}  # fmt: skip
    return found | more


FAILED = row("mini_fd", "fail", "worse by 1.000, more than the margin of 0.020")
OPEN = row("mini_kd", "could-not-measure", "between 1 better and 1 worse")
SPARE = row("drift_mini_features", "could-not-measure", "other seeds", required=False, kind="drift")
PASSED = row("caption_accuracy", "pass", "equal")
SECONDS = row("seconds_end_to_end", "could-not-measure", "not judged", required=False, kind="time")
MIXED = gate_of("fail", FAILED, OPEN, SPARE, PASSED, SECONDS)


# --- cases, JUnit, annotations


def test_each_row_is_a_case_but_seconds_that_nobody_judges() -> None:
    assert [(case.metric, case.outcome) for case in cases(MIXED)] == [
        ("mini_fd", "failed"), ("mini_kd", "error"), ("drift_mini_features", "skipped"), ("caption_accuracy", "passed"),
    ]  # fmt: skip
    assert cases(MIXED)[0].values == "base 1.000, head 2.000, change +1.000 [+0.500, +1.500]"


def test_a_verdict_that_no_row_explains_is_a_case_of_its_own() -> None:
    found = cases(gate_of("could-not-measure", PASSED, notes=("rule 1 is first for no row",)))
    assert found[-1][:3] == (*WHOLE, "error")
    assert "rule 1 is first for no row" in found[-1].reason
    assert len(cases(gate_of("pass", PASSED))) == 1


def test_junit() -> None:
    root = ElementTree.fromstring(junit_xml(MIXED))
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    found = {case.get("name"): case for case in root.iter("testcase")}
    assert {case.get("classname") for case in found.values()} == {"sd15[steps=8]"}
    failure = found["mini_fd"].find("failure")
    assert failure is not None
    assert failure.get("message") == FAILED["reason"]
    assert "change +1.000" in str(failure.text)
    assert found["mini_kd"].find("error") is not None
    assert found["drift_mini_features"].find("skipped") is not None
    assert [child.tag for child in found["caption_accuracy"]] == ["system-out"]


def test_junit_of_hostile_names_is_still_xml() -> None:
    found = gate_of("fail", FAILED | {"method": 'a:<B>&"\x1b[31m\ud800\uffff\x00', "reason": "\x07 ]]> <b>"})
    case = next(ElementTree.fromstring(junit_xml(found).encode()).iter("testcase"))
    assert str(case.get("classname")).startswith('a:<B>&"')


def test_annotations_are_escaped_as_the_runner_reads_them() -> None:
    assert command("error", "50%\r\nof a: b, c", "x: 2%, y\n") == (
        "::error title=x%3A 2%25%2C y%0A::50%25%0D%0Aof a: b, c"
    )
    lines = list(annotation_lines(MIXED))
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::warning"]
    assert "title=bench gate%3A sd15[steps=8]%3A mini_fd (worse)::worse by 1.000" in lines[0]
    assert not list(annotation_lines(gate_of("pass", PASSED, SPARE, SECONDS)))


def test_more_annotations_than_are_shown() -> None:
    """GitHub drops those after the tenth: the tenth says how many they are."""
    lines = list(annotation_lines(gate_of("fail", *[FAILED] * 14)))
    assert len(lines) == 10
    assert lines[-1].endswith("::5 more rows are in the report")
    assert len(list(annotation_lines(gate_of("fail", *[FAILED] * 10)))) == 10


def test_outputs_hold_what_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    set_outputs({"verdict": "pass"})
    assert not (tmp_path / "output").exists()  # no job of GitHub
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    set_outputs({"folder": "a\nverdict=pass", "verdict": "fail"})
    assert outputs(tmp_path / "output") == {"folder": "a\nverdict=pass", "verdict": "fail"}


def outputs(file: Path) -> dict[str, str]:
    """Read a file of outputs as the runner does."""
    return {name: value for name, _, value in re.findall(r"(\w+)<<(\w+)\n(.*?)\n\2\n", file.read_text(), re.DOTALL)}


# --- the comment


class Forge(ThreadingHTTPServer):
    """Answers as the API of GitHub or GitLab does, as far as comments go."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.problems: list[tuple[int, dict[str, str], str]] = []
        """Answers in place of the next ones: status, headers, message."""
        self.user: str | None = None
        """Whose the token is; None for that of a GitHub job."""
        self.writes = True
        self.token = TOKEN

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def bodies(self) -> list[str]:
        return [comment["body"] for comment in self.comments]


class _Handler(BaseHTTPRequestHandler):
    server: Forge

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self._refused(writing=False):
            return
        path = urlsplit(self.path)
        if path.path == "/user":
            name = self.server.user
            answer: Any = {"login": name, "username": name} if name else {"message": "Resource not accessible"}
            return self._answer(200 if name else 403, answer)
        page, size = (int(parse_qs(path.query)[key][0]) for key in ("page", "per_page"))
        self._answer(200, self.server.comments[(page - 1) * size : page * size])

    def do_POST(self) -> None:
        if not self._refused(writing=True):
            self.server.comments.append(made := comment(self._body(), len(self.server.comments) + 1, self.server.user))
            self._answer(201, made)

    def do_PATCH(self) -> None:
        if not self._refused(writing=True):
            found = next(item for item in self.server.comments if item["id"] == int(self.path.rpartition("/")[2]))
            found["body"] = self._body()
            self._answer(200, found)

    do_PUT = do_PATCH  # noqa: N815

    def _refused(self, writing: bool) -> bool:
        self.server.asked.append((self.command, self.path))
        if self.server.problems:
            status, headers, message = self.server.problems.pop(0)
            self._answer(status, {"message": message}, headers)
            return True
        given = self.headers.get("Authorization", "").removeprefix("Bearer ") or self.headers.get("PRIVATE-TOKEN")
        if given != self.server.token:
            self._answer(401, {"message": f"Bad credentials {given}"})
            return True
        if writing and not self.server.writes:
            self._answer(403, {"message": "Resource not accessible by integration"})
            return True
        return False

    def _body(self) -> str:
        return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

    def _answer(self, status: int, data: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def comment(body: str, number: int, user: str | None) -> dict[str, Any]:
    """A comment of a user, else of a GitHub job; in the words of both forges."""
    login = user or "github-actions[bot]"
    who = {"login": login, "username": login, "type": "User" if user else "Bot"}
    return {"id": number, "body": body, "user": who, "author": who}


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A job of GitHub on pull request 7 of ``o/r``."""
    server = Forge()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    event = {"pull_request": {"number": 7, "head": {"sha": "abcdef1234567"}, "base": {"sha": "0123"}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    (tmp_path / "gate.md").write_text("### bench gate: fail\n\n| a | b |\n")
    monkeypatch.chdir(tmp_path)
    for name in ("CI_API_V4_URL", "GITHUB_RUN_ID", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "GITHUB_API_URL": server.address, "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": TOKEN, "GITHUB_RUN_ID": "99",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    server.slept = slept  # type: ignore[attr-defined]
    yield server
    server.shutdown()
    server.server_close()


def test_one_comment_is_written_and_then_updated(bench: Bench, forge: Forge) -> None:
    code, out, err = bench("comment", "gate.md")
    assert (code, err) == (0, "")
    assert out == "wrote a comment; the job's summary has the report\n"
    assert len(forge.comments) == 1
    lines = forge.bodies()[0].splitlines()
    assert lines[0] == "<!-- t2ibench: gate -->"
    assert lines[1] == "### bench gate: fail"
    assert lines[-1] == "<sub>abcdef1 · [job and report](https://github.com/o/r/actions/runs/99)</sub>"
    Path("gate.md").write_text("### bench gate: pass\n")
    assert bench("comment", "gate.md")[1].startswith("updated the comment")
    assert len(forge.comments) == 1
    assert "bench gate: pass" in forge.bodies()[0] and "fail" not in forge.bodies()[0]
    assert forge.asked[-1] == ("PATCH", "/repos/o/r/issues/comments/1")
    assert ("POST", "/repos/o/r/issues/7/comments") in forge.asked
    assert Path("summary").read_text().count("### bench gate") == 2


def test_comments_of_other_names_and_of_other_people_stay(bench: Bench, forge: Forge) -> None:
    marker = "<!-- t2ibench: gate -->"
    forge.comments = [comment(f"talk {i}", i, "someone") for i in range(1, 130)]
    forge.comments.append(comment(f"{marker}\nmine, says a stranger", 130, "stranger"))
    forge.comments.append(comment(f"see {marker}", 131, None))
    assert bench("comment", "gate.md", "--name", "nightly")[0] == 0
    assert bench("comment", "gate.md")[0] == 0
    assert [body.splitlines()[0] for body in forge.bodies()[-2:]] == ["<!-- t2ibench: nightly -->", marker]
    assert bench("comment", "gate.md")[1].startswith("updated")  # found on the second page
    assert len(forge.comments) == 133
    assert "stranger" in forge.bodies()[129]


def test_a_persons_token_updates_that_persons_comment(bench: Bench, forge: Forge) -> None:
    forge.comments = [comment("<!-- t2ibench: gate -->\n", 1, None)]  # of a job
    forge.user = "ada"
    assert [bench("comment", "gate.md")[1].split(";")[0] for _ in range(2)] == [
        "wrote a comment", "updated the comment",
    ]  # fmt: skip
    assert [item["user"]["login"] for item in forge.comments] == ["github-actions[bot]", "ada"]


def test_a_name_cannot_break_out_of_the_marker(bench: Bench, forge: Forge) -> None:
    bench("comment", "gate.md", "--name", "a --> <b>\n")
    assert forge.bodies()[0].splitlines()[0] == "<!-- t2ibench: a --_ _b__ -->"


def test_a_forks_token_leaves_the_summary_with_a_line(bench: Bench, forge: Forge) -> None:
    forge.writes = False
    code, out, err = bench("comment", "gate.md")
    assert (code, err, forge.comments) == (0, "", [])
    assert out.count("\n") == 1
    assert "no comment: 127.0.0.1 answers 403, Resource not accessible by integration" in out
    assert "a fork's token may only read" in out
    summary = Path("summary").read_text().splitlines()
    assert summary[0].startswith("> no comment: ")
    assert summary[2] == "### bench gate: fail"
    assert forge.slept == []  # type: ignore[attr-defined]


def test_without_a_summary_a_comment_that_cannot_be_written_is_an_error(
    bench: Bench, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    forge.writes = False
    assert bench("comment", "gate.md")[0] == 2
    monkeypatch.setenv("GITHUB_TOKEN", "")
    code, out, err = bench("comment", "gate.md")
    assert (code, out) == (2, "")
    assert "GITHUB_TOKEN is not set" in err


def test_a_push_is_about_no_pull_request(bench: Bench, forge: Forge) -> None:
    Path("event.json").write_text('{"before": "abc"}')
    code, out, _ = bench("comment", "gate.md")
    assert (code, forge.asked) == (0, [])
    assert "this job is about no pull request" in out
    assert "bench gate: fail" in Path("summary").read_text()
    assert bench("comment", "gate.md", "--pull-request", 8)[0] == 0
    assert ("POST", "/repos/o/r/issues/8/comments") in forge.asked


@pytest.mark.parametrize(
    ("problem", "waits"),
    [
        ((502, {}, "Bad gateway"), [1.0]),
        ((429, {"Retry-After": "3"}, "slow down"), [3.0]),
        ((403, {"Retry-After": "7000"}, "You have exceeded a secondary rate limit"), [60.0]),
        ((403, {"x-ratelimit-remaining": "0"}, "API rate limit exceeded"), [1.0]),
    ],
)
def test_a_server_that_is_busy_is_asked_again(
    bench: Bench, forge: Forge, problem: tuple[int, dict[str, str], str], waits: list[float]
) -> None:
    forge.problems = [problem]
    assert bench("comment", "gate.md")[0] == 0
    assert forge.slept == waits  # type: ignore[attr-defined]
    assert len(forge.comments) == 1


def test_a_server_that_stays_broken(bench: Bench, forge: Forge) -> None:
    forge.problems = [(503, {}, "Unavailable")] * 20
    code, out, err = bench("comment", "gate.md")
    assert (code, out) == (2, "")
    assert "answers 503, Unavailable" in err
    assert forge.slept == [1.0, 2.0, 4.0, 8.0]  # type: ignore[attr-defined]
    assert "bench gate: fail" in Path("summary").read_text()


def test_a_comment_that_was_written_before_the_answer_got_lost_is_not_written_twice(
    bench: Bench, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, lost = _Handler._answer, []

    def lossy(self: _Handler, status: int, data: Any, headers: dict[str, str] | None = None) -> None:
        if status == 201 and not lost:
            lost.append(status)
            return answer(self, 502, {})
        answer(self, status, data, headers)

    monkeypatch.setattr(_Handler, "_answer", lossy)
    assert bench("comment", "gate.md")[1].startswith("updated the comment")
    assert len(forge.comments) == 1


def test_the_token_is_told_to_nobody(bench: Bench, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the server repeats it, and not to the host that it sends us to."""
    forge.token = "another"
    code, out, err = bench("comment", "gate.md")
    assert code == 2
    assert "Bad credentials ***" in err
    assert TOKEN not in out + err + Path("summary").read_text()
    other = Forge()
    threading.Thread(target=other.serve_forever, daemon=True).start()
    forge.problems = [(301, {"Location": f"{other.address}/user"}, "Moved")]
    code, out, err = bench("comment", "gate.md")
    other.shutdown()
    other.server_close()
    assert (code, other.asked) == (2, [])
    assert "sends elsewhere" in err


def test_nobody_at_that_address(bench: Bench, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:1")
    code, _, err = bench("comment", "gate.md")
    assert code == 2
    assert "127.0.0.1 cannot be reached" in err
    assert err.count("\n") == 1


def test_a_comment_that_is_too_long_is_cut_at_a_line(bench: Bench, forge: Forge) -> None:
    Path("gate.md").write_text("| row | value |\n" * 6000)
    assert bench("comment", "gate.md")[0] == 0
    body = forge.bodies()[0]
    assert 65_400 < len(body) <= 65_536
    assert "\n*Cut here: the report has the rest.*\n\n<sub>" in body
    assert all(line == "| row | value |" for line in body.splitlines()[1:-4])
    assert len(Path("summary").read_text()) > 90_000


def test_cut() -> None:
    assert cut("short", 10) == "short"
    assert cut("a\n" * 50, 60).startswith("a\na\n")
    assert len(cut("x" * 500, 100)) <= 100


def test_gitlab(bench: Bench, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CI_API_V4_URL": forge.address, "CI_PROJECT_ID": "12", "CI_MERGE_REQUEST_IID": "3", "GITLAB_TOKEN": TOKEN,
        "CI_COMMIT_SHA": "1234567890", "CI_JOB_URL": "https://gitlab.example/j/1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    forge.user = "project_12_bot"
    assert bench("comment", "gate.md")[:2] == (0, "wrote a comment\n")
    assert bench("comment", "gate.md")[:2] == (0, "updated the comment\n")
    assert len(forge.comments) == 1
    assert forge.asked[-1] == ("PUT", "/projects/12/merge_requests/3/notes/1")
    assert forge.bodies()[0].endswith("<sub>1234567 · [job and report](https://gitlab.example/j/1)</sub>\n")


def test_elsewhere_it_says_what_it_needs(
    bench: Bench, forge: Forge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    code, _, err = bench("comment", "gate.md")
    assert code == 2
    assert "this is no job of GitHub or GitLab" in err
    assert "cannot read 'none.md'" in bench("comment", "none.md")[2]
