"""The curated runbooks."""
