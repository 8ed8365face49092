"""Skyflo Runbooks: incidents become executable notebooks whose changes wait for an approval."""

__version__ = "0.1.0"
