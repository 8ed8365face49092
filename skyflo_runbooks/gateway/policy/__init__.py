"""Who may decide what, and under which conditions.

Rules:
  1. A policy is a set of conditions, and all of them hold (`AllOf`). Adding one never admits more; there is none that
     takes another away, and with none at all nothing may be decided.
  2. A condition sees a `Case`: the proposal, who decides, and the evidence that was gathered. Evidence that is missing
     is a refusal, never a pass.
  3. Conditions are checked when a decision arrives, and once more by the executor before it consumes the approval.
  4. The name of the whole enters every digest, so a change of policy voids what waits for a decision.
  5. A rejection needs the role and nothing else: no can always be said.
"""
