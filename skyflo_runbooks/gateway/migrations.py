"""The record's shape, as an ordered list of changes. A change of it is a new line at the end, never another text.

A line is SQL, or a function of the open transaction. After adding one, `python -m tests.gateway.shapes` keeps a record
of the new shape, from which every later version is tested (tests/gateway/test_migrations.py).
"""

from skyflo_runbooks.gateway.database import Migration

LEDGER = """
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
  prev TEXT NOT NULL, hash TEXT NOT NULL UNIQUE
) STRICT;
CREATE INDEX entries_proposal ON entries (json_extract(body, '$.proposal'));
CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_never_go BEFORE DELETE ON entries
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""
STATE = """
CREATE TABLE proposals (
  id TEXT PRIMARY KEY, state TEXT NOT NULL, content BLOB NOT NULL, same_key TEXT NOT NULL, runbook TEXT NOT NULL,
  run TEXT NOT NULL, step TEXT NOT NULL, created TEXT NOT NULL, decision BLOB, superseded_by TEXT NOT NULL DEFAULT '',
  rolled_back_by TEXT NOT NULL DEFAULT '', verification BLOB
) STRICT;
CREATE INDEX proposals_same ON proposals (same_key, state);
CREATE TABLE attempts (
  id TEXT PRIMARY KEY, proposal TEXT NOT NULL UNIQUE, started TEXT NOT NULL, ended TEXT NOT NULL DEFAULT '',
  sent INTEGER NOT NULL DEFAULT 0, applied BLOB NOT NULL DEFAULT x'5b5d', after BLOB NOT NULL DEFAULT x'5b5d',
  message TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE preimages (proposal TEXT NOT NULL, place INTEGER NOT NULL, sealed BLOB NOT NULL, until TEXT NOT NULL,
  PRIMARY KEY (proposal, place)) STRICT;
CREATE TABLE operators (key TEXT PRIMARY KEY, name TEXT NOT NULL, jwk TEXT NOT NULL, paired TEXT NOT NULL) STRICT;
CREATE TABLE tokens (hash TEXT PRIMARY KEY, role TEXT NOT NULL, name TEXT NOT NULL, expires TEXT NOT NULL) STRICT;
CREATE TABLE nonces (
  nonce TEXT PRIMARY KEY, proposal TEXT NOT NULL, operator TEXT NOT NULL, until TEXT NOT NULL
) STRICT;
CREATE TABLE verdicts (key TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE runbooks (id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE leases (key TEXT PRIMARY KEY, until TEXT NOT NULL) STRICT;
"""
CHECKPOINTS = """
CREATE TABLE checkpoints (
  seq INTEGER PRIMARY KEY, signed TEXT NOT NULL, key TEXT NOT NULL, signature TEXT NOT NULL
) STRICT;
CREATE TRIGGER checkpoints_never_change BEFORE UPDATE ON checkpoints
  BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER checkpoints_never_go BEFORE DELETE ON checkpoints
  BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
"""
# What a record of ten thousand proposals needs to be read quickly.
BY_STATE = """
ALTER TABLE proposals ADD COLUMN expires TEXT NOT NULL DEFAULT '';
UPDATE proposals SET expires = json_extract(CAST(content AS TEXT), '$.binding.expires');
CREATE INDEX proposals_state ON proposals (state, expires);
CREATE INDEX proposals_created ON proposals (created);
CREATE INDEX proposals_run ON proposals (runbook, run, step);
CREATE INDEX entries_kind ON entries (kind, seq);
"""
# Several decisions on one proposal; how far a credential reaches; passkeys; in whose name an attempt was made.
DECISIONS = """
CREATE TABLE decisions (
  proposal TEXT NOT NULL, operator TEXT NOT NULL, place INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (proposal, operator)
) STRICT;
INSERT INTO decisions SELECT id, json_extract(CAST(decision AS TEXT), '$.operator'), 1, decision
  FROM proposals WHERE decision IS NOT NULL;
ALTER TABLE proposals DROP COLUMN decision;
ALTER TABLE attempts ADD COLUMN executor TEXT NOT NULL DEFAULT '';
ALTER TABLE operators ADD COLUMN rank TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE tokens ADD COLUMN rank TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE tokens ADD COLUMN namespaces TEXT NOT NULL DEFAULT '["*"]';
ALTER TABLE tokens ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN maker TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN made TEXT NOT NULL DEFAULT '';
CREATE TABLE passkeys (
  id TEXT PRIMARY KEY, operator TEXT NOT NULL, label TEXT NOT NULL, key BLOB NOT NULL, count INTEGER NOT NULL,
  added TEXT NOT NULL
) STRICT;
CREATE INDEX entries_key ON entries (json_extract(body, '$.key'), kind);
CREATE INDEX entries_at ON entries (kind, at);
"""
MIGRATIONS: tuple[Migration, ...] = (LEDGER + STATE, CHECKPOINTS + BY_STATE, DECISIONS)
