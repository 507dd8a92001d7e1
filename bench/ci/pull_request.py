"""``bench pr``: a suite on the base and on the head of a pull request, on one machine, and the gate between them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import BenchError, printable
from ...core.files import write_atomic
from ..ab.versions import Side, Version
from ..saved import COMPARISON
from ..startup import ends_as_ctrl_c
from .forge import github_event
from .github import set_outputs

if TYPE_CHECKING:
    from ..gating.gate import Gate

MARKDOWN = "gate.md"
"""In the folder of ``--out``: what there is to say on the pull request, be it a verdict or why there is none."""

NO_INSTALL = "none"
_INSTALL = "python -m pip install --quiet ."


def pull_request_command(base: str | None, asked: Mapping[str, Any]) -> int:
    """Run both sides and judge; see ``bench pr``. Returns the exit status.

    Raises BenchError where a side cannot be had, installed or run; ``gate.md`` says so then.
    """
    ends_as_ctrl_c()
    out: Path = asked["out"].absolute()
    markdown = out / MARKDOWN
    set_outputs({"folder": out, "markdown": markdown, "verdict": "could-not-measure"})
    try:
        found = _judged(base or base_of_job(os.environ), out, asked)
    except BenchError as error:
        from ...reports.markdown import escape

        write_atomic(markdown, f"### bench gate: could not measure\n\n{escape(str(error), 1000)}\n")
        if not asked["allow_unmeasured"]:
            raise
        print(f"bench: {error}", file=sys.stderr)
        return 0
    set_outputs({"verdict": found.verdict})
    return 0 if found.status == 2 and asked["allow_unmeasured"] else found.status


def _judged(revision: str, out: Path, asked: Mapping[str, Any]) -> Gate:
    from ..gating.command import deliver, judge_runs, keep, side_by_side
    from ..gating.report import write_comparison

    with tempfile.TemporaryDirectory(prefix="bench-") as name, checked_out(revision, Path(name) / "checkout") as base:
        folders: dict[Side, Path] = {"base": base, "head": Path.cwd()}
        for side, folder in folders.items():
            version = find_side(side, folder, asked["install"], Path(name))
            run_side(version, Path(name), [*run_arguments(asked), "--out", str(out / side)])
    thresholds, junit = (asked[key] and asked[key].absolute() for key in ("thresholds", "junit"))
    options = {**asked, "junit": junit, "device": "auto", "weights": None, "markdown": False}
    with chdir(out):  # the runs are called base and head, wherever they lie
        ours, theirs = Path("base"), Path("head")
        found = judge_runs(ours, theirs, thresholds, options)
        keep(found, theirs)
        told = side_by_side(ours, [(theirs, found)])
        assert told is not None
        write_comparison(told, out / COMPARISON, None)
        write_comparison(told, None, out / MARKDOWN)  # by itself: a comment has nothing beside it to link to
        deliver(found, options)
    return found


def run_arguments(asked: Mapping[str, Any]) -> list[str]:
    """The arguments of ``bench run`` that both sides have in common.

    Afresh, so that nothing which an earlier commit left in the folder is taken for this one's.
    """
    named = [text for key in ("suite", "methods", "limit") if asked[key] for text in (f"--{key}", str(asked[key]))]
    offline = ["--offline"] if asked["offline"] else []
    try:
        return [*named, "--fresh", *offline, *shlex.split(asked["args"] or "")]
    except ValueError as error:
        raise BenchError(f"--args {asked['args']!r}: {error}") from error


def base_of_job(environment: Mapping[str, str]) -> str:
    """Return the commit that a job of GitHub or GitLab compares with; BenchError where it does not say."""
    event = github_event(environment)
    pull, group = event.get("pull_request") or {}, event.get("merge_group") or {}
    found = [(pull.get("base") or {}).get("sha"), group.get("base_sha"), event.get("before")]
    named = next((str(commit) for commit in found if commit and set(str(commit)) != {"0"}), None)
    named = named or environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA")
    if not named:
        raise BenchError("nothing here says what to compare with: name a branch or a commit, as in 'bench pr main'")
    return named


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """Give the part of another commit that the working folder is of this one, checked out at ``folder``.

    A commit that a shallow clone lacks is fetched from ``origin``. Raises BenchError where it cannot be had.
    """
    top = Path(_git("rev-parse", "--show-toplevel"))
    _git("worktree", "add", "--force", "--detach", str(folder), _commit(revision))
    try:
        part = folder / Path.cwd().resolve().relative_to(top.resolve())
        if not part.is_dir():
            raise BenchError(f"'{revision}' has no folder '{part.relative_to(folder)}'")
        yield part
    finally:
        _git("worktree", "remove", "--force", str(folder))


def find_side(side: Side, folder: Path, install: str | None, scratch: Path) -> Version:
    """Return how a checkout is run: from its folder, or installed into an environment of its own.

    A project is installed with pip unless told otherwise; a plain folder, and t2ibench itself, need not be. Raises
    BenchError where that fails.
    """
    name = _project(folder)
    if install == NO_INSTALL or (not install and name in (None, "t2ibench")):
        return Version(side, str(folder), Path(sys.executable), folder, folder if name == "t2ibench" else None)
    python = _environment(scratch / f"{side}-environment")
    _install(side, install or _INSTALL, folder, python)
    return Version(side, str(folder), python, folder)


def run_side(version: Version, links: Path, arguments: Sequence[str]) -> None:
    """Run ``bench run`` of a version. Raises BenchError with the last line that it said where it fails."""
    command = [str(version.python), "-P", "-m", "t2ibench.bench.cli", "run", *arguments]
    environment = {**os.environ, **version.environment(links)}
    print(f"{version.side}: bench {shlex.join(command[4:])}", file=sys.stderr)
    said = ""
    # The tables of both runs go to standard error: standard output is for the verdict.
    with subprocess.Popen(
        command, cwd=version.folder, env=environment, stdout=sys.__stderr__, stderr=subprocess.PIPE, text=True,
        errors="replace",
    ) as process:  # fmt: skip
        assert process.stderr is not None
        try:
            for line in process.stderr:
                print(line, end="", file=sys.stderr)
                said = line.strip() or said
        except KeyboardInterrupt:  # or the end of the job: it must not go on without us
            process.terminate()
            raise
    if process.returncode:
        raise BenchError(f"{version.side} could not be run: {said.removeprefix('bench: error: ')}")


def _project(folder: Path) -> str | None:
    """The name of the project in a folder, empty where it does not say; None where there is none."""
    try:
        found = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "" if (folder / "setup.py").is_file() else None
    except (OSError, ValueError) as error:
        raise BenchError(f"'{folder / 'pyproject.toml'}': {error}") from error
    return str(found.get("project", {}).get("name", "")) if {"project", "build-system"} & found.keys() else None


def _commit(revision: str) -> str:
    """The commit that is meant; a name of a branch may be known to ``origin`` alone."""
    for name in (revision, f"origin/{revision}"):
        if found := _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False):
            return found
    _git("fetch", "--quiet", "--no-tags", "--depth=1", "--end-of-options", "origin", revision)
    return _git("rev-parse", "FETCH_HEAD")


def _git(*arguments: str, check: bool = True) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, errors="replace")
    except OSError as error:
        raise BenchError(f"git cannot be started ({error}): install it") from error
    if done.returncode and check:
        raise BenchError(f"git {arguments[0]}: {_last(done.stderr)}")
    return done.stdout.strip()


def _environment(place: Path) -> Path:
    """Make a virtual environment that finds all that is installed here behind what it gets itself; its Python."""
    venv.create(place, with_pip=True, symlinks=os.name != "nt")
    names = {"base": str(place), "platbase": str(place)}
    own = Path(sysconfig.get_path("purelib", "venv", names))
    # addsitedir, and no plain path, since what is installed as editable is found by its .pth files.
    here = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (own / "t2ibench-of-the-gate.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in here), encoding="utf-8"
    )
    return Path(sysconfig.get_path("scripts", "venv", names)) / ("python.exe" if os.name == "nt" else "python")


def _install(side: Side, command: str, folder: Path, python: Path) -> None:
    print(f"{side}: {command}", file=sys.stderr)
    path = os.pathsep.join([str(python.parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(python.parent.parent)}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False, errors="replace"
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise BenchError(f"{side} could not be installed by '{command}': {_last(done.stderr)}")


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return printable(lines[-1]) if lines else "it failed and does not say why"
