"""Workers without processes of their own: importing diffusers once more takes ten seconds of a processor."""

from __future__ import annotations

import importlib
import io
import json
import os
from collections.abc import Mapping
from typing import Any

from t2ibench.bench.latency.worker import serve
from t2ibench.core.errors import BenchError

WORKERS = {"t2ibench.bench.latency.worker": "Worker", "t2ibench.bench.devices.exporter": "Exporter"}


class InProcess:
    """Stands in for ``FreshProcess``: the same worker answers the same questions, here."""

    started = 0

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        InProcess.started += 1
        self.worker = getattr(importlib.import_module(module), WORKERS[module])()
        self.group = os.getpgrp()

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self.worker = None

    def ask(self, question: str, **details: Any) -> Any:
        answers = io.StringIO()
        serve(self.worker, iter([{"ask": question, **details}]), answers)
        found = json.loads(answers.getvalue())
        if "error" in found:
            raise BenchError(found["error"])
        return found["answer"]
