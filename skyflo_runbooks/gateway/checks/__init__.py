"""Observing a check once: one small function per check, reading the cluster through a `View`."""
