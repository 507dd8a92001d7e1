"""The command line: its commands, one file each in ``commands``, and what becomes of their errors."""

from __future__ import annotations

import io
import os
import sys
from functools import cache
from typing import Any

import typer

from ..core.errors import BenchError
from .commands import (
    ab,
    baseline,
    comment,
    compare,
    doctor,
    explain,
    export,
    fetch,
    gate,
    history,
    latency,
    ls,
    plan,
    pr,
    report,
    run,
    score,
    table,
)
from .startup import INTERRUPTED

app = typer.Typer(
    name="bench",
    help="Quality, control, decoder fidelity and latency of text-to-image diffusion methods, in one honest table.",
    epilog="--debug with any command shows the traceback of an error. Exit status: 0 done, 1 a regression, 2 an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(epilog=run.EXAMPLES)(run.run)
app.command()(report.report)
app.command(epilog=export.EXAMPLES)(export.export)
app.command(epilog=table.EXAMPLES)(table.table)
app.command(epilog=latency.EXAMPLES)(latency.latency)
app.command()(fetch.fetch)
app.command()(ls.ls)
app.command()(doctor.doctor)
app.command(epilog=score.EXAMPLES)(score.score)
app.command(epilog=gate.EXAMPLES)(gate.gate)
app.command(epilog=compare.EXAMPLES)(compare.compare)
app.command(epilog=ab.EXAMPLES)(ab.ab)
app.command(epilog=history.EXAMPLES)(history.history)
app.command(epilog=plan.EXAMPLES)(plan.plan)
app.command()(baseline.baseline)
app.command(epilog=pr.EXAMPLES)(pr.pr)
app.command()(comment.comment)
app.command(epilog=explain.EXAMPLES)(explain.explain)


def main() -> None:
    """Run the command line: one line and status 2 for an error, the traceback with ``--debug``."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    for stream in (sys.stdout, sys.stderr):  # a console that knows no arrows gets question marks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(status(arguments, debug))


def status(arguments: list[str], debug: bool = False) -> int:
    """Run the command that ``arguments`` name and return its exit status."""
    code = 2
    try:
        code = int(_commands()(arguments, standalone_mode=False) or 0)
    except typer.TyperException as error:
        _complain(f"{error.format_message()} (see 'bench {_command(error)}--help')")
    except BenchError as error:
        if debug:
            raise
        _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if debug:
            raise
        _complain(f"{type(error).__name__}: {' '.join(str(error).split())} (a fault of bench: --debug shows where)")
    if code == INTERRUPTED:  # typer, too, makes an exit status of Ctrl-C
        print("stopped: what is finished is kept, the same command goes on from there", file=sys.stderr)
    return code


@cache
def _commands() -> Any:
    return typer.main.get_command(app)


def _command(error: Any) -> str:
    context = getattr(error, "ctx", None)
    name = context.info_name if context else "bench"
    return "" if name == "bench" else f"{name} "


def _complain(text: str) -> None:
    print(f"bench: error: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
