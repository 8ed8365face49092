"""`python -m skyflo_runbooks.cli` is the command `skyflo-runbooks`: how one command starts another as a process."""

from skyflo_runbooks.cli.main import run

run()
