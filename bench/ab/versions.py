"""The two versions of a comparison: which Python runs which code of them, and in which folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...core.errors import BenchError, printable
from ...reports.ab import VersionFacts
from ..environment import commit_of
from ..latency.protocol import WORKER

Side = Literal["base", "head"]

_PYTHONS = ("bin/python", "Scripts/python.exe", "python.exe")
"""Where the Python of an environment lies: of venv and conda, on Windows of venv, of conda."""
_PROBE = f"""
import importlib.metadata, importlib.util, json, pathlib
import t2ibench
def version(name):
    try: return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError: return None
print(json.dumps(dict(package=str(pathlib.Path(t2ibench.__file__).resolve().parent), version=t2ibench.__version__,
    torch=version("torch"), worker=importlib.util.find_spec({WORKER!r}) is not None)))
"""
_PROBE_S = 120


@dataclass(frozen=True)
class Version:
    """A version of the code that can be started."""

    side: Side
    given: str
    python: Path
    """Not resolved: the Python of a venv is a link, and finds its libraries by where the link lies."""
    folder: Path | None = None
    """Where it runs: a checkout, so that relative paths and a user's modules are its own; None for here."""
    package: Path | None = None
    """The checkout of t2ibench itself that is to be the package; None where the one that Python finds is."""

    def environment(self, links: Path) -> dict[str, str]:
        """What to set for its processes; the folder ``links`` gets what its Python is to find ``t2ibench`` by."""
        if self.package is None:
            return {}
        place = links / self.side
        place.mkdir(exist_ok=True)
        link = place / "t2ibench"
        if not link.is_symlink():
            link.symlink_to(self.package, target_is_directory=True)
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH", "")]))}

    def facts(self, links: Path) -> VersionFacts:
        """Ask its Python what it would run. Raises BenchError where that is not what was named, or cannot be timed."""
        found = self._asked(links)
        if self.package is not None and Path(found["package"]) != self.package.resolve():
            raise BenchError(f"--{self.side} {self.given}: its code is shadowed by '{found['package']}'")
        if not found.pop("worker"):
            raise BenchError(
                f"--{self.side} {self.given}: t2ibench {found['version']} there is older than 'bench latency'"
            )
        commit = commit_of(self.folder) if self.folder else None
        return VersionFacts(given=self.given, python=str(self.python), commit=commit, **found)

    def _asked(self, links: Path) -> dict[str, Any]:
        environment = {**os.environ, **self.environment(links)}
        try:
            done = subprocess.run(
                [self.python, "-P", "-c", _PROBE], capture_output=True, text=True, check=False, cwd=self.folder,
                env=environment, timeout=_PROBE_S,
            )  # fmt: skip
            found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
            said = [line for line in done.stderr.splitlines() if line.strip()] if isinstance(error, IndexError) else []
            why = printable(said[-1] if said else str(error))[:300]
            raise BenchError(f"--{self.side} {self.given}: its Python does not import t2ibench: {why}") from error
        return found


def find_version(side: Side, given: str) -> Version:
    """Return the version that ``given`` names: a checkout's folder, an environment's folder, or a Python.

    Raises BenchError where it is none of them.
    """
    path = Path(given).expanduser().absolute()
    if path.is_file():
        if not os.access(path, os.X_OK):
            raise BenchError(f"--{side} {given}: neither a folder nor a Python that can be started")
        return Version(side, given, path)
    if not path.is_dir():
        raise BenchError(f"--{side} {given}: no such checkout, environment or Python")
    for name in _PYTHONS:
        if (python := path / name).is_file():
            return Version(side, given, python)
    if not any(path.glob("*.py")) and not (path / "pyproject.toml").is_file():
        raise BenchError(f"--{side} {given}: holds neither code nor an environment")
    return Version(side, given, Path(sys.executable), path, path if _is_t2ibench(path) else None)


def _is_t2ibench(folder: Path) -> bool:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return False
    return bool(project.get("name") == "t2ibench")
