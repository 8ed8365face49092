"""The incident's words: which namespace and which objects they mean.

Rules:
  1. Words choose where to look and never decide a cause.
  2. A name that exists is taken as it stands, and a pod's name (`payment-service-7d9f-x2x4z`) for its workload. A
     misspelt one is taken for the nearest name, and that is said. Part of a name (`payment` for `payment-service`) is
     taken where nothing is nearer.
  3. A namespace is what was given with the incident, else what the words call one ("in the checkout namespace",
     "-n checkout"). A name of one among the other words is a hint: it orders what is found and rules nothing out.
  4. An object that exists elsewhere than in the namespace that was named moves the look there, and that is said.
  5. Words that only ask whether all is well ("is anything wrong here?") complain of nothing; with a "not", a "why" or
     a "since" they do.
  6. A cause that the words suppose ("because DNS is broken") is a guess: it is never taken, and where nothing that was
     found has to do with it, that is said.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from skyflo_runbooks.model.objects import ObjectRef

# How alike (0 to 100) a word and a name must be, to be the same name misspelt.
_ALIKE = 84.0
_TOKEN = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
# No name of a namespace is longer than 63 characters; the bound keeps hostile text from being slow.
_CALLED = (
    re.compile(r"\b(?:the\s+)?([a-z0-9][a-z0-9-]{0,62})\s+namespace\b"),
    re.compile(r"\bnamespace(?:\s*[:=]\s*|\s+)[\"'`]([a-z0-9][a-z0-9-]{0,62})"),
    re.compile(r"\bnamespace\s*[:=]\s*([a-z0-9][a-z0-9-]{0,62})"),
    re.compile(r"\b(?:in|of|from|within)\s+(?:the\s+)?namespace\s+([a-z0-9][a-z0-9-]{0,62})"),
    re.compile(r"(?:^|\s)-n[\s=]+([a-z0-9][a-z0-9-]{0,62})"),
    re.compile(r"\bns[/:=]\s*([a-z0-9][a-z0-9-]{0,62})"),
)
# Words of incidents that are not names, though something may be called nearly so.
_ENGLISH = (
    "a about after again all also an and any app are as at be been before but by can cannot cant check cluster "
    "container containers crash crashed crashes crashing crashloop crash-looping customer customers deployment "
    "deployments does doesnt down error errors every fail failed failing fails for from get gets getting had has have "
    "help how http in is isnt it its keep keeps loop looping me memory my namespace namespaces new no node nodes not "
    "now of off on one or our out page pending please pod pods ready requests restart restarted restarting restarts "
    "running see seeing server service services slow some something start started starting starts status stopped "
    "stuck that the their them there they this timeout timeouts to up us users very was we what when where which while "
    "why will with wont work working works wrong you your in the that image images pull pulling tag release rollout "
    "since minutes today yesterday this everything anything healthy fine okay ok"
)
_COMMON = frozenset(_ENGLISH.split())
_NOT_A_NAMESPACE = frozenset({"the", "this", "that", "a", "my", "our", "which", "every", "any", "is", "and", "are"})
# A full stop inside a name or number ends no phrase.
_PHRASES = re.compile(r"[.;!?](?:\s|$)|\n")
_REPORTED = re.compile(
    r"(?i)\b(?:50[0-9]s?|5xx|errors?|time-?outs?|timing out|slow|unavailable|down|unreachable|refused"
    r"|not respond\w*|no response|cannot reach|can't reach)\b"
)
# How a question begins that may be answered by yes or no, or an order to look; and how one ends that supposes nothing.
_ASKING = re.compile(
    r"(?i)^(?:(?:hi|hello|hey|please|pls|so|and)[, ]+)*(?:is|are|was|were|do|does|did|has|have|can you|could you|any"
    r"|anything|everything|all|check|look|tell me|how is|how are|what is the (?:state|status|health)|status|health)\b"
)
_WELL = re.compile(r"(?i)\b(?:ok|okay|fine|good|well|healthy|all right|alright|as it should be)\W*$")
_COMPLAINING = re.compile(
    r"(?i)\b(?:not|no|never|none|nothing|why|since|cannot|still|stopped|failed|\w+n['’]?t)(?![\w-])"
)
# What people suppose, and the faults that have to do with it: whole families, or single ones.
_GUESSES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("DNS", r"dns|resolv\w+|nxdomain|no such host", ("NET-11", "NET-12", "NET-13", "CON-12", "CON-16", "IMG-05")),
    ("certificates", r"certificates?|certs?|x509|tls|ssl", ("NET-08", "NET-09", "ADM-06", "IMG-05", "MES")),
    ("the image", r"images?|registry|imagepullbackoff|errimagepull", ("IMG",)),
    ("a quota", r"quotas?", ("ADM-01", "ADM-02")),
    ("memory", r"memory|oom\w*|leaks?|leaking", ("CON-07", "CON-20", "SCH-02", "ADM-01", "ADM-02", "ADM-03", "NOD")),
    ("CPU", r"cpu|throttl\w+", ("SCH-02", "CON-21", "ADM-01", "ADM-02", "ADM-03", "AUT")),
    ("storage", r"disks?|volumes?|pvcs?|storage|claims?", ("STO", "CON-02", "CON-20", "SCH-14", "SCH-15", "NOD-02")),
    ("scheduling", r"schedul\w+|pending", ("SCH", "STO", "NOD")),
    ("a node", r"nodes?", ("NOD", "SCH", "DEL-03")),
    ("probes", r"probes?|liveness|readiness", ("CON-08", "CON-09", "CON-10")),
    ("the network", r"network|firewall|network ?polic\w+", ("NET", "MES", "GWY", "NOD-03")),
    ("permissions", r"permissions?|rbac|forbidden", ("ADM-04", "ADM-09", "ADM-10", "ADM-11", "IMG-02", "CON-22")),
    ("the autoscaler", r"autoscal\w+|hpa", ("AUT",)),
)


class Place(msgspec.Struct, frozen=True):
    """Where the words point: namespaces, hints of some, objects, corrections in words, what was reported (verbatim)."""

    namespaces: tuple[str, ...] = ()
    hinted: tuple[str, ...] = ()
    objects: tuple[ObjectRef, ...] = ()
    notes: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()


def tokens(text: str) -> list[str]:
    """Return the words that may be names: single ones, and pairs as they would be written in a name."""
    single = _TOKEN.findall(text.lower())
    return [*single, *(f"{first}-{second}" for first, second in pairwise(single))]


def nearest(word: str, names: Iterable[str], *, least: float = 60.0) -> tuple[str, ...]:
    """Return up to three names that read like `word`, the nearest first."""
    from rapidfuzz import fuzz, process

    found = process.extract(word, list(names), scorer=fuzz.ratio, limit=3, score_cutoff=least)
    return tuple(str(name) for name, _, _ in found)


def called(text: str, known: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the namespaces that the words name, and corrections. `known` are those that exist; empty: not known."""
    names: list[str] = []
    notes: list[str] = []
    for pattern in _CALLED:
        for word in pattern.findall(text.lower()):
            if word in _NOT_A_NAMESPACE or word in names:
                continue
            if not known or word in known:
                names.append(word)
                continue
            near = nearest(word, known, least=75.0)
            if near:
                names.append(near[0])
                notes.append(f"There is no namespace {word!r}; {near[0]!r} was taken.")
            elif word not in _COMMON:
                notes.append(f"There is no namespace {word!r}.")
    return tuple(dict.fromkeys(names)), tuple(dict.fromkeys(notes))


def hinted(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the namespaces whose names stand among the words without being called namespaces."""
    return tuple(word for word in dict.fromkeys(tokens(text)) if word in known and word not in _COMMON)


def place(
    text: str, *, given: Sequence[str] = (), namespaces: Sequence[str] = (), objects: Sequence[ObjectRef] = ()
) -> Place:
    """Return where the words point among what exists. `given` are the namespaces that came with the incident."""
    found, notes = (tuple(given), ()) if given else called(text, namespaces)
    named, corrections = _objects(text, objects, prefer=found)
    notes = (*notes, *corrections)
    if found and named and not any(item.namespace in found for item in named):
        elsewhere = tuple(sorted({item.namespace for item in named}))
        notes = (*notes, f"{named[0].name} is not in {', '.join(found)} but in {', '.join(elsewhere)}.")
        found = found if given else elsewhere
    elif found:
        named = tuple(item for item in named if item.namespace in found)
    elif named:
        found = tuple(sorted({item.namespace for item in named if item.namespace}))
        if notes and not corrections and found:
            notes = (*notes, f"{named[0].name} is in {', '.join(found)}.")
    phrases = (" ".join(phrase.split()) for phrase in _PHRASES.split(text))
    reported = tuple(phrase for phrase in phrases if _REPORTED.search(phrase))
    hints = () if found else hinted(text, namespaces)
    return Place(namespaces=found, hinted=hints, objects=named, notes=notes, reported=reported)


def _objects(
    text: str, objects: Sequence[ObjectRef], *, prefer: Sequence[str]
) -> tuple[tuple[ObjectRef, ...], tuple[str, ...]]:
    by_name: dict[str, list[ObjectRef]] = {}
    for item in objects:
        by_name.setdefault(item.name, []).append(item)
    words = [word for word in dict.fromkeys(tokens(text)) if word not in _COMMON and word not in prefer]
    exact = [item for word in words for item in by_name.get(word, [])]
    exact = exact or [item for word in words for item in by_name.get(_made_by(word, by_name), [])]
    if exact:
        return tuple(dict.fromkeys(exact)), ()
    near, notes = _misspelt(words, by_name)
    if near:
        return near, notes
    whole = [{word, word.removesuffix("s")} for word in words if len(word) >= 4]
    parts = [item for forms in whole for item in objects if forms & set(re.split(r"[-.]", item.name))]
    return tuple(dict.fromkeys(parts)), ()


def _made_by(word: str, names: Iterable[str]) -> str:
    """Return the longest name that begins `word` as a workload's name begins its pods', or nothing."""
    return max((name for name in names if word.startswith(f"{name}-")), key=len, default="")


def _misspelt(
    words: Iterable[str], by_name: Mapping[str, Sequence[ObjectRef]]
) -> tuple[tuple[ObjectRef, ...], tuple[str, ...]]:
    """Return the objects whose names are nearly among the words, and the corrections."""
    near: list[ObjectRef] = []
    notes: list[str] = []
    for word in words:
        if len(word) < 5:
            continue
        for name in nearest(word, by_name, least=_ALIKE)[:1]:
            if by_name[name][0] in near:
                continue  # the same name, met again in a pair of words
            near += by_name[name]
            if word != f"{name}s":  # several of its pods
                notes.append(f"There is no {word!r}; {name!r} was taken.")
    return tuple(dict.fromkeys(near)), tuple(dict.fromkeys(notes))


def guesses(text: str, faults: Iterable[str]) -> tuple[str, ...]:
    """Return what the words suppose and no fault that was found has to do with, by rule 6."""
    known = tuple(faults)
    return tuple(
        said
        for said, words, fits in _GUESSES
        if re.search(rf"(?i)(?<![\w-])(?:{words})(?![\w-])", text) and not any(one.startswith(fits) for one in known)
    )


def only_asks(text: str) -> bool:
    """Return whether the words ask whether all is well and complain of nothing, by rule 5."""
    said = [sentence for part in re.split(r"[.!?;\n]+(?:\s|$)", text) if (sentence := part.strip())]
    return all(
        (_ASKING.search(one) or _WELL.search(one)) is not None and _COMPLAINING.search(one) is None for one in said
    )


def unusual(text: str) -> tuple[str, ...]:
    """Return the words that are no common ones of incidents, so that they may be names."""
    return tuple(dict.fromkeys(word for word in _TOKEN.findall(text.lower()) if len(word) >= 5 and word not in _COMMON))


def name_like(text: str) -> tuple[str, ...]:
    """Return the words that are written like an object's name (`payment-service`), whether it exists or not."""
    found = (word for word in _TOKEN.findall(text.lower()) if "-" in word and word not in _COMMON)
    return tuple(dict.fromkeys(word for word in found if re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", word)))
