"""``bench fetch``: datasets from their hosts or from a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .startup import say


def fetch_command(names: Sequence[str], from_: Path | None, root: Path | None, offline: bool, as_json: bool) -> None:
    """``bench fetch``."""
    from ..datasets.catalog import DATASETS
    from ..datasets.dataset import data_root
    from ..datasets.fetch import fetch, missing
    from .progress import Reporter, task

    found: dict[str, list[str]] = {}
    for name in names:
        with task(f"fetch {name} (MB)", 0) as report:

            def megabytes(done: int, total: int, report: Reporter = report) -> None:
                report(done // 1_000_000, total // 1_000_000)

            paths = fetch(name, data_root(root), from_dir=from_, offline=offline, progress=megabytes)
        for archive in missing(DATASETS.get(name), data_root(root)):
            where = archive.place(data_root(root))
            say(f"{name}: still missing {where} ({archive.files:,} files): not all of it is in '{from_}'")
        found[name] = [str(path) for path in paths]
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        for name, files in found.items():
            print(f"{name}: {', '.join(files)}")
