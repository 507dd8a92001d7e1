"""bench pr on a small repository, and the steps of action.yml, executed as a runner would."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_ci import TOKEN, Forge, outputs

from t2ibench.bench.ab.versions import Version
from t2ibench.bench.ci import pull_request
from t2ibench.bench.ci.pull_request import base_of_job, checked_out, find_side, run_arguments, run_side
from t2ibench.core.errors import BenchError

Bench = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
PAINT = '''
import numpy as np
from t2ibench import Adapter
from t2ibench.adapters import noise


class Paint(Adapter):
    """Noise, brighter by a constant."""

    def load(self, device, dtype):
        pass

    def generate(self, requests):
        draws = np.stack([noise.normal(request, (request.height, request.width, 3)) for request in requests])
        return (draws * 20 + 100 + BRIGHTER).clip(0, 255).astype(np.uint8)

    def noise_digest(self, request):
        return noise.digest(noise.normal(request, (4,)))
'''


def git(*arguments: str, folder: Path | None = None) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits: a method in a subfolder, and the same with brighter pictures."""
    folder = tmp_path / "repository"
    (folder / "code").mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", folder=folder)
    for brighter in (0, 40):
        (folder / "code" / "paint.py").write_text(f"{PAINT}\n\nBRIGHTER = {brighter}\n")
        git("add", ".", folder=folder)
        git("commit", "--quiet", "-m", f"brighter by {brighter}", folder=folder)
    for name in ("GITHUB_EVENT_PATH", "CI_MERGE_REQUEST_DIFF_BASE_SHA", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)
    return folder


def worktrees() -> list[str]:
    return [line for line in git("worktree", "list", "--porcelain").splitlines() if line.startswith("worktree")]


# --- the base


def test_the_same_folder_of_another_commit(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "code")
    with checked_out("HEAD~1", tmp_path / "base") as folder:
        assert folder == tmp_path / "base" / "code"
        assert "BRIGHTER = 0" in (folder / "paint.py").read_text()
        assert "BRIGHTER = 40" in Path("paint.py").read_text()
    assert len(worktrees()) == 1
    assert not (tmp_path / "base").exists()


def test_a_commit_that_a_shallow_clone_lacks_is_fetched(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("branch", "topic", "HEAD~1")
    commit = git("rev-parse", "HEAD~1")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    git("clone", "--quiet", "--depth=1", f"file://{repository}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    for index, revision in enumerate((commit, "topic")):
        with checked_out(revision, tmp_path / f"base{index}") as folder:
            assert "BRIGHTER = 0" in (folder / "code" / "paint.py").read_text()


@pytest.mark.parametrize("revision", ["nothing", "--upload-pack=touch evil", ""])
def test_no_such_commit(repository: Path, tmp_path: Path, revision: str) -> None:
    with pytest.raises(BenchError, match=r"^git "), checked_out(revision, tmp_path / "base"):
        pass
    assert not list(repository.glob("evil"))


def test_a_folder_that_the_base_lacks(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "new").mkdir()
    monkeypatch.chdir(repository / "new")
    with pytest.raises(BenchError, match="'main' has no folder 'new'"), checked_out("main", tmp_path / "base"):
        pass
    assert len(worktrees()) == 1


@pytest.mark.parametrize(
    ("event", "base"),
    [
        ({"pull_request": {"base": {"sha": "abc"}}}, "abc"),
        ({"merge_group": {"base_sha": "def"}}, "def"),
        ({"before": "123"}, "123"),
        ({"before": "0" * 40}, "gitlab"),
        ({}, "gitlab"),
    ],
)
def test_the_base_of_a_job(tmp_path: Path, event: dict[str, Any], base: str) -> None:
    (tmp_path / "event.json").write_text(json.dumps(event))
    environment = {"GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "CI_MERGE_REQUEST_DIFF_BASE_SHA": "gitlab"}
    assert base_of_job(environment) == base


def test_nothing_says_what_to_compare_with(repository: Path, bench: Bench) -> None:
    code, out, err = bench("pr")
    assert (code, out) == (2, "")
    assert "name a branch or a commit, as in 'bench pr main'" in err
    assert "what to compare with" in (repository / "runs" / "pr" / "gate.md").read_text()


# --- a side


def test_a_plain_folder_is_run_from_where_it_is(repository: Path, tmp_path: Path) -> None:
    version = find_side("base", repository / "code", None, tmp_path)
    assert (version.python, version.folder) == (Path(sys.executable), repository / "code")
    assert find_side("head", ROOT, None, tmp_path).package == ROOT  # this project needs no installation


def test_a_project_is_installed_into_an_environment_that_has_bench_behind_it(repository: Path, tmp_path: Path) -> None:
    (repository / "pyproject.toml").write_text('[project]\nname = "paint"\nversion = "1"\n')
    assert find_side("head", repository, "none", tmp_path).python == Path(sys.executable)
    place = tmp_path / "head-environment"
    command = "python -c \"import sys, sysconfig, pathlib; p = pathlib.Path(sysconfig.get_path('purelib')); " \
        "(p / 'numpy.py').write_text('mine = 1'); print(sys.prefix)\""  # fmt: skip
    version = find_side("head", repository, command, tmp_path)
    assert version.python.is_relative_to(place)
    asked = "import sys, numpy, t2ibench, yaml; print(sys.prefix, numpy.mine, t2ibench.__version__)"
    done = subprocess.run([version.python, "-P", "-c", asked], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == [str(place), "1", "0.1.0"], done.stderr


def test_an_installation_that_fails(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_request, "_environment", lambda place: Path(sys.executable))
    (repository / "pyproject.toml").write_text("[tool.ruff]\n")
    assert find_side("base", repository, None, tmp_path).python == Path(sys.executable)  # settings are no project
    with pytest.raises(BenchError, match="base could not be installed by 'echo no wheel >&2; exit 3': no wheel"):
        find_side("base", repository, "echo no wheel >&2; exit 3", tmp_path)


def test_a_side_that_cannot_be_run_says_why(
    repository: Path, tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"bench: error: unknown method 'paint|:Paint'\" >&2\nexit 2\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(BenchError, match=r"^base could not be run: unknown method"):
        run_side(Version("base", ".", python, repository), tmp_path, [])
    monkeypatch.setattr(pull_request, "find_side", lambda side, folder, *_: Version(side, "", python, folder))
    code, out, err = bench("pr", "HEAD~1", "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "bench: error: base could not be run: unknown method 'paint|:Paint'"
    assert "unknown method 'paint\\|:Paint'" in (tmp_path / "out" / "gate.md").read_text()
    assert bench("pr", "HEAD~1", "--out", tmp_path / "out", "--allow-unmeasured")[0] == 0


def test_a_side_ends_with_the_job_that_runs_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, ended = tmp_path / "python", tmp_path / "ended"
    python.write_text(f"#!/bin/sh\ntrap 'echo > {ended}; exit' TERM\necho started >&2\nsleep 20 & wait\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)

    def stop_at_the_first_line(text: str, **_: Any) -> None:
        if text == "started\n":
            raise KeyboardInterrupt

    monkeypatch.setattr(pull_request, "print", stop_at_the_first_line, raising=False)
    with pytest.raises(KeyboardInterrupt):
        run_side(Version("head", ".", python, repository), tmp_path, [])
    assert ended.exists()


def test_what_both_sides_are_asked() -> None:
    asked = {"suite": "mini", "methods": "paint:Paint[a=1,b=2]", "limit": 8, "offline": True, "args": "--seed 1"}
    assert run_arguments(asked) == [
        "--suite", "mini", "--methods", "paint:Paint[a=1,b=2]", "--limit", "8", "--fresh", "--offline", "--seed", "1",
    ]  # fmt: skip
    with pytest.raises(BenchError, match="No closing quotation"):
        run_arguments({**asked, "args": "'"})


# --- the action


class Runner:
    """Runs the bash steps of ``action.yml``, with what GitHub would put in place of ``${{ }}``."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.outputs: dict[str, str] = {}
        self.inputs = {name: str(given["default"]) for name, given in ACTION["inputs"].items()}
        (folder / "temp" / "t2ibench").mkdir(parents=True)
        (folder / "temp" / "t2ibench" / "bin").symlink_to(Path(sys.executable).parent)

    def step(self, name: str, working: Path) -> subprocess.CompletedProcess[str]:
        step = next(step for step in ACTION["runs"]["steps"] if step.get("name") == name)
        environment = {key: self.filled(value) for key, value in step.get("env", {}).items()}
        output, summary = (self.folder / f"{key}-{len(self.outputs)}" for key in ("output", "summary"))
        job = {
            "GITHUB_ACTIONS": "true", "GITHUB_API_URL": self.address, "GITHUB_REPOSITORY": "o/r",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"), "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary), "RUNNER_TEMP": str(self.folder / "temp"),
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=working, text=True,
            env={**os.environ, **job, **environment}, capture_output=True,
        )  # fmt: skip
        self.outputs |= outputs(output) if output.exists() else {}
        return done

    def filled(self, text: str) -> str:
        return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda match: self.value(match[1]), text)

    def value(self, expression: str) -> str:
        if expression == "inputs.comment == 'true' && inputs.token || ''":
            return TOKEN
        scope, _, name = expression.rpartition(".")
        return {"inputs": self.inputs, "steps.gate.outputs": self.outputs, "runner": {"temp": f"{self.folder}/temp"}}[
            scope
        ][name]


@pytest.fixture
def forge() -> Iterator[Forge]:
    server = Forge()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_the_action_finds_a_regression_and_comments(repository: Path, tmp_path: Path, forge: Forge) -> None:
    event = {"pull_request": {"number": 3, "base": {"sha": git("rev-parse", "HEAD~1")}, "head": {"sha": "feedbeef"}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    runner = Runner(tmp_path, forge.address)
    runner.inputs |= {"methods": "paint:Paint", "limit": "24", "name": "paint",
                      "args": "--metrics mini_fd --set reference_n=32 --offline"}  # fmt: skip
    done = runner.step("Run base and head, and gate", repository / "code")
    assert done.returncode == 1, done.stderr
    out = tmp_path / "temp" / "t2ibench-paint"
    assert runner.outputs == {"verdict": "fail", "folder": str(out), "markdown": str(out / "gate.md")}
    assert "::error title=bench gate%3A paint:Paint".replace(":P", "%3AP") in done.stderr
    rows = json.loads((out / "head" / "gate.json").read_text())["rows"]
    failed = sum(row["verdict"] == "fail" for row in rows)
    assert (out / "junit.xml").read_text().count("<failure") == failed > 0
    for file in ("base/run.json", "base/report.html", "head/run.json", "head/report.html"):
        assert (out / file).is_file()
    assert len(worktrees()) == 1
    done = runner.step("Comment", repository)
    assert (done.returncode, done.stdout) == (0, "wrote a comment; the job's summary has the report\n"), done.stderr
    assert "### bench gate, head against base: fail" in forge.bodies()[0]
    assert "comparison.html" not in forge.bodies()[0] and (out / "comparison.html").is_file()
    assert "FAIL" in forge.bodies()[0] and "<!-- t2ibench: paint -->" in forge.bodies()[0]
    assert TOKEN not in done.stdout + done.stderr


def test_the_action_is_whole() -> None:
    """Every output is one that some step sets, every input is used, and no input is text of a script."""
    steps = ACTION["runs"]["steps"]
    assert ACTION["runs"]["using"] == "composite"
    text = (ROOT / "action.yml").read_text()
    for name in ACTION["inputs"]:
        assert f"inputs.{name}" in text, name
    set_by_bench = {"verdict", "folder", "markdown"}
    for given in ACTION["outputs"].values():
        step, _, name = given["value"].removeprefix("${{ steps.").removesuffix(" }}").partition(".outputs.")
        assert step in {found.get("id") for found in steps}
        assert name in (set_by_bench if step == "gate" else {"artifact-url"})
    for step in steps:
        assert "${{" not in step.get("run", "")
        assert ("run" in step) == (step.get("shell") == "bash") == ("uses" not in step)
        assert "uses" not in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])


def test_the_action_calls_commands_and_options_that_exist(bench: Bench) -> None:
    """What takes its options from the environment has to know these variables, too."""
    known = {
        "python",
        "$RUNNER_TEMP/t2ibench/bin/python",
        "$RUNNER_TEMP/t2ibench/bin/uv",
        "$RUNNER_TEMP/t2ibench/bin/bench",
    }
    for step in ACTION["runs"]["steps"]:
        if "run" not in step:
            continue
        script = step["run"].replace("\\\n", " ")
        assert subprocess.run(["bash", "-n", "-c", script]).returncode == 0
        for line in script.strip().splitlines():
            words = [word.strip('"') for word in line.split()]
            assert words[0] in known, line
            if words[0].endswith("/bench"):
                _, text, _ = bench(words[1], "--help")
                plain = re.sub(r"[\s│…]+", "", text)
                for word in [w for w in words[2:] if w.startswith("--")] + [
                    v for v in step["env"] if v != "BENCH_MARKDOWN"
                ]:
                    if not word.startswith("GITHUB"):
                        assert word[:17] in plain, word
    assert shutil.which("python")
    assert (ROOT / "constraints.txt").is_file()
