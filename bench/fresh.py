"""A fresh process that is asked things, one after the other, as lines of JSON over pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ..core.errors import BenchError, printable


class FreshProcess:
    """A process that runs a module of ours; it dies with its ``with`` block, and with this process.

    It stands in a process group of its own, so that Ctrl-C reaches it, and all that it has started, through us alone.
    """

    def __init__(
        self, module: str, environment: Mapping[str, str], python: str = sys.executable, folder: Path | None = None
    ) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # -P: a folder named like a library in the current one must not be imported in its place.
        self._process = subprocess.Popen(
            [python, "-P", "-m", module], cwd=folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True, encoding="utf-8",
            env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip

        # What it forked holds its pipes open, and would keep us waiting for an answer after its death.
        if hasattr(os, "waitid"):
            threading.Thread(target=self._bury, daemon=True).start()

    def _bury(self) -> None:
        with suppress(ChildProcessError):  # waited for elsewhere
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._kill_group()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody of it is left
            os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def group(self) -> int:
        """The number of its process group."""
        return self._process.pid

    def __enter__(self) -> FreshProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def ask(self, question: str, **details: Any) -> Any:
        """Return the answer to ``question``; BenchError with the reason where the process says so, or has died."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"ask": question, **details}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise BenchError(self._death())
        answer = json.loads(line)
        if "error" in answer:
            raise BenchError(answer["error"])
        return answer["answer"]

    def kill(self) -> None:
        """End it and all that it has started, whatever they are doing."""
        if self._process.poll() is None:
            if hasattr(os, "killpg"):
                self._kill_group()
            else:
                self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            try:
                if stream:
                    stream.close()
            except BrokenPipeError:  # what was not yet sent has no reader any more
                pass

    def _death(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "its process was killed, as the system does where memory runs out; fewer methods at a time need less"
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit status {code}"
        return f"its process ended by {how}: {printable(lines[-1])[:300]}"
