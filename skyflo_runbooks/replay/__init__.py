"""Runs of saved runbooks: headless, honest about each cell, and never over the source."""
