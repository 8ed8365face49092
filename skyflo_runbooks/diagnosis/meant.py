"""What somebody set on purpose: whether it is told as a finding or as a note.

A CronJob that is suspended, a Deployment that is paused, a budget that lets nobody leave: no reading can tell whether
that is the fault or the wish. The operator's words can.

Rules:
  1. What suffers visibly makes it a finding, whatever the words say.
  2. So do words that name it, or that speak of what it does (`SPOKEN_OF`: of schedules where a CronJob is suspended).
  3. What is so on most clusters that are well (`UNSAID`) is one only where the words speak of what it does.
  4. Where the words name other objects, it is one only if it has to do with them.
  5. Otherwise it is one in the namespace that was given or named, if somebody complains ("it does not work"). Who only
     asks whether all is well gets a note.
  6. That a taint keeps a DaemonSet away, which taints are for, is a note beside any fault, unless the words name the
     DaemonSet and nothing else is wrong with it.
"""

import re
from collections.abc import Collection

from skyflo_runbooks.diagnosis.rules.base import HELD, INTENT, UNSAID
from skyflo_runbooks.diagnosis.words import Place, only_asks, tokens
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.objects import ObjectRef

_VERSIONS = r"versions?|releas\w*|roll(?:ed|ing|s)?[ -]?outs?|updat\w*|upgrad\w*|deployed|deploys|paus\w*|resum\w*"
_REQUESTS = r"ports?|refus\w*|connect\w*|reach\w*|50[0-9]s?"
# The words that speak of what an intended setting does, for each fault that may be one.
SPOKEN_OF: dict[str, str] = {
    "AUT-05": r"drain\w*|evict\w*|disrupt\w*|budgets?|pdbs?|cordon\w*",
    "CON-17": r"variables?|env|environment|settings?|overrid\w*|overwrit\w*|configur\w*|values?",
    "CON-18": r"config\w*|settings?|flags?|edit(?:s|ed)?|reload\w*|ignor\w*|values?",
    "DLV-02": rf"{_VERSIONS}|canar\w+|promot\w*",
    "NET-02": _REQUESTS,
    "ROL-02": _VERSIONS,
    "ROL-03": rf"{_REQUESTS}|scal\w+|replicas?|no pods?|zero pods?",
    "ROL-05": rf"{_VERSIONS}|old|partition\w*",
    "ROL-06": r"dns|resolv\w*|lookups?|host ?names?|hosts?|headless|peers?|quorum|members?",
    "ROL-07": r"daemon\w*|(?:every|each|all|some|new) (?:\w+ )?nodes?|nodes without",
    "JOB-02": r"cron\w*|schedul\w*|suspend\w*|jobs?|nightly|hourly|daily|weekly|monthly|ran|runs?",
    "SCH-10": r"pending|schedul\w*|gates?|gated|queue\w*|waits?|waiting|start\w*",
}


def as_meant(where: Place, incident: Incident, cause: Finding, *, faulty: Collection[ObjectRef]) -> bool:
    """Return whether a cause is what somebody set on purpose, and nobody asked about it: a note.

    `faulty`: with what something else is wrong here.
    """
    named = cause.object.name in tokens(incident.text)
    # What its pods suffer from besides is the fault's.
    if faulty and cause.facts.get(INTENT, "").endswith("tolerations"):
        return not named or cause.object in faulty
    if INTENT not in cause.facts or (cause.consequences and HELD not in cause.facts):
        return False
    if UNSAID in cause.facts:
        return not _spoken_of(incident, cause)
    if named or (_concerned(where, cause) and _spoken_of(incident, cause)):
        return False
    if where.objects:
        return not {cause.object, *cause.related, *cause.explains} & set(where.objects)
    return not _concerned(where, cause) or only_asks(incident.text)


def _concerned(where: Place, cause: Finding) -> bool:
    return cause.namespace in where.namespaces


def _spoken_of(incident: Incident, cause: Finding) -> bool:
    words = SPOKEN_OF.get(cause.fault, "")
    return bool(words) and re.search(rf"(?i)(?<![\w-])(?:{words})(?![\w-])", incident.text) is not None
