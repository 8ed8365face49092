"""The process: what a Ctrl-C or a TERM does from the first moment on. The commands are in `app`.

Rules:
  1. This module imports next to nothing, so that the signals are in hand before typer and its like are imported.
  2. While those are imported nothing runs that could need tidying up: a signal says its line and the process is gone.
  3. From then on both raise `KeyboardInterrupt`, which `app.guarded` answers. Who ignores Ctrl-C (nohup) goes on to.
"""

import os
import signal
import sys

_INTERRUPTED = 130  # ExitCode.INTERRUPTED, which is not imported yet


def run() -> None:
    """Run the command line of this process. A TERM ends it as Ctrl-C does, so that what it started ends too."""
    signals = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signals.append(signal.SIGINT)
    for number in signals:
        signal.signal(number, _leave)
    from skyflo_runbooks.cli.app import main

    try:
        # asyncio takes Ctrl-C into its own hands only where Python's own handler is installed.
        for number in signals:
            signal.signal(number, signal.default_int_handler)
        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # between two lines of this function, outside of the boundary
        _leave()
    sys.exit(code)


def _leave(*_: object) -> None:
    # Not an exception: raised in the middle of an import it may come out as "Exception ignored in …".
    os.write(2, b"Interrupted.\n")
    os._exit(_INTERRUPTED)
