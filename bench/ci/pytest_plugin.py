"""``pytest --bench-gate``: the rows of a gate as test items.

pytest imports this module in every environment that has t2ibench, so it costs nothing until it is asked for: the gate
and all that it takes are imported then, and run in a process of their own, out of reach of the tests' patches.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .outcomes import Case

MARK = "bench_gate"
NODE = "bench-gate"
"""What the ids of the items begin with."""

_OPTIONS = {
    "base": "what to compare with: a run's folder, a file of 'bench baseline', or one of pytest-benchmark",
    "head": "what to judge: a finished run, or a file of pytest-benchmark; else the suite is run",
    "suite": "the suite to run, a name or a TOML file; else that of the base",
    "methods": "its methods, comma between; else the suite's",
    "limit": "at most so many prompts or photos; else as many as the base has",
    "thresholds": "how much worse numbers may get (TOML)",
    "args": "more arguments of 'bench run', as one text",
    "out": "the folder of the run; else runs/pytest",
}


@dataclass(frozen=True)
class Settings:
    """What is asked for, by options or under ``[tool.t2ibench]`` in ``pyproject.toml``."""

    root: Path
    """Where paths begin."""
    base: str
    head: str | None = None
    suite: str | None = None
    methods: str | None = None
    limit: str | None = None
    thresholds: str | None = None
    args: str = ""
    out: str = "runs/pytest"

    def command(self, folder: Path) -> tuple[list[str], Path]:
        """The arguments of ``bench``, and where its verdict will be; ``folder`` takes that on a finished run."""
        import shlex

        limits = ["--thresholds", self.thresholds] if self.thresholds else []
        if self.head is not None:
            verdict = folder / "gate.json"
            return ["gate", self.base, self.head, *limits, "--out", str(verdict)], verdict
        named = {"suite": self.suite, "methods": self.methods, "limit": self.limit, **self._as_base()}
        chosen = [text for key, value in named.items() if value for text in (f"--{key}", str(value))]
        run = ["run", *chosen, "--fresh", "--baseline", self.base, "--gate", *limits, "--out", self.out]
        return [*run, *shlex.split(self.args)], self.root / self.out / "gate.json"

    def _as_base(self) -> dict[str, object]:
        """The suite and the number of prompts of the base, where nothing else is asked for."""
        from ..gating.sides import open_side

        suite = open_side(self.root / self.base).run.suite
        return {"suite": self.suite or suite.name, "limit": self.limit or suite.items}


def settings_of(config: pytest.Config) -> Settings:
    """Return what is asked for. Raises UsageError where there is no base, or a key that means nothing."""
    file = _table(config.rootpath / "pyproject.toml")
    if unknown := file.keys() - _OPTIONS.keys():
        raise pytest.UsageError(
            f"[tool.t2ibench] has no key {', '.join(sorted(unknown))} (known: {', '.join(_OPTIONS)})"
        )
    asked = {name: config.getoption(f"--bench-{name}") for name in _OPTIONS}
    found = {name: str(asked[name] or file[name]) for name in _OPTIONS if asked[name] or name in file}
    if "base" not in found:
        raise pytest.UsageError("--bench-gate needs what to compare with: --bench-base, or base in [tool.t2ibench]")
    return Settings(config.rootpath, **found)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("t2ibench", "t2ibench: a gate on the quality of pictures")
    group.addoption("--bench-gate", action="store_true", help="add the rows of a gate as tests")
    for name, text in _OPTIONS.items():
        group.addoption(f"--bench-{name}", metavar=name.upper(), help=text)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}: a row of the gate of t2ibench")
    if config.getoption("--bench-gate"):
        config.pluginmanager.register(Plugin(config), "t2ibench-gate")


class Plugin:
    """Adds the items, and runs the gate that they share when the first of them asks."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.settings = settings_of(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        for row in self.names:
            name = _name(*row)
            items.append(Row.from_parent(session, name=name, nodeid=f"{NODE}::{name}", plugin=self, row=row))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Before pytest-xdist starts a worker: judge once here, and give each what was found."""
        node.workerinput[NODE] = json.dumps([self.names, self.verdict])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        report = self.config.rootpath / self.settings.out / "report.html"
        if "verdict" in self.__dict__ and self.settings.head is None and report.is_file():
            terminalreporter.write_line(f"bench gate: {report}")

    @cached_property
    def names(self) -> list[tuple[str, str]]:
        """Method and metric of each row, told from the base alone, and of the gate as a whole."""
        if self._given:
            return [(method, metric) for method, metric in self._given[0]]
        from ...core.errors import BenchError
        from .outcomes import WHOLE, row_names

        try:
            return [*row_names(self.settings.root / self.settings.base), WHOLE]
        except BenchError as error:
            raise pytest.UsageError(f"--bench-gate: {error}") from None

    @cached_property
    def verdict(self) -> str:
        """The verdict as JSON, or one line on why there is none."""
        if self._given:
            return str(self._given[1])
        from ...core.errors import BenchError

        with tempfile.TemporaryDirectory() as folder:
            try:
                arguments, verdict = self.settings.command(Path(folder))
            except (BenchError, ValueError) as error:
                return str(error)
            verdict.unlink(missing_ok=True)
            self._say(f"bench {' '.join(arguments)}")
            said = _bench(arguments, self.settings.root)
            return verdict.read_text(encoding="utf-8") if verdict.is_file() else said

    @cached_property
    def cases(self) -> Mapping[tuple[str, str], Case]:
        """What the gate says of each row; empty where it could not be run."""
        from ..gating.gate import Gate
        from .outcomes import cases, whole

        if not self.verdict.startswith("{"):
            return {}
        found = Gate.model_validate_json(self.verdict)
        return {(case.method, case.metric): case for case in [*cases(found), whole(found)]}

    @cached_property
    def _given(self) -> Any:
        """What the controller of pytest-xdist found; None where this is no worker of it."""
        given = getattr(self.config, "workerinput", {}).get(NODE)
        return json.loads(given) if given else None

    def _say(self, text: str) -> None:
        if reporter := self.config.pluginmanager.get_plugin("terminalreporter"):
            reporter.ensure_newline()
            reporter.write_line(text)


class Row(pytest.Item):
    """A row of the gate: passes, fails, is skipped where nobody needs it, an error where it could not be judged."""

    def __init__(self, *, plugin: Plugin, row: tuple[str, str], **more: Any) -> None:
        super().__init__(**more)
        self.plugin, self.row = plugin, row
        self.add_marker(MARK)

    def setup(self) -> None:
        if not self.plugin.cases:
            pytest.fail(f"the gate could not be run: {self.plugin.verdict}", pytrace=False)
        self.case = self.plugin.cases.get(self.row)
        if self.case is None:
            pytest.skip("the verdict has no such row: it is ignored, or head has no such method")
        if self.case.outcome == "error":
            pytest.fail(f"could not measure: {self._text}", pytrace=False)

    def runtest(self) -> None:
        assert self.case is not None
        if self.case.outcome == "skipped":
            pytest.skip(self.case.reason)
        if self.case.outcome == "failed":
            pytest.fail(self._text, pytrace=False)

    @property
    def _text(self) -> str:
        assert self.case is not None
        return f"{self.case.reason} ({self.case.values})" if self.case.values else self.case.reason

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.plugin.settings.root / self.plugin.settings.base, None, f"bench gate: {': '.join(self.row)}"


def _name(method: str, metric: str) -> str:
    """As a test with a parameter, since methods are full of brackets, and pytest reads them as such."""
    from .outcomes import WHOLE

    return metric if (method, metric) == WHOLE else f"{metric}[{method}]"


def _table(file: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("t2ibench", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"{file}: {error}") from None
    return found if isinstance(found, dict) else {}


def _bench(arguments: list[str], folder: Path) -> str:
    """Run ``bench`` and return the last line that it said."""
    command = [sys.executable, "-P", "-m", "t2ibench.bench.cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    lines: Iterator[str] = (line for line in reversed(done.stderr.splitlines()) if line.strip())
    return next(lines, f"exit status {done.returncode}").removeprefix("bench: error: ")
