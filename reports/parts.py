"""The rows of a run by the dataset whose prompts they are made of: what can be compared with each other."""

from __future__ import annotations

from .schema import Run


def parts(run: Run) -> list[Run]:
    """Return the run cut by dataset, in the order of its rows: each as if it were a run of that dataset alone.

    A published table stands beside the first of them. How many prompts there are of other datasets than the suite's is
    not known: ``items`` and ``total`` are the most that a row has.
    """
    datasets = list(dict.fromkeys(result.dataset for result in run.results))
    if datasets in ([], [None]):
        return [run]
    return [_part(run, dataset, first=dataset == datasets[0]) for dataset in datasets]


def _part(run: Run, dataset: str | None, first: bool) -> Run:
    results = [result for result in run.results if result.dataset == dataset]
    changes: dict[str, object] = {} if first else {"table": None}
    if dataset is not None:
        most = max(result.n for result in results)
        changes |= {"dataset": dataset, "items": most, "total": most}
    return run.model_copy(update={"results": results, "suite": run.suite.model_copy(update=changes)})
