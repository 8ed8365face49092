"""The gate: proposals, policy, decisions, executor, verifier, ledger, redaction, identity."""
