"""k8s_environment: the environment variables that a container is given.

Rules:
  1. The order is the kubelet's: what `envFrom` brings first, then `env`; a later one of the same name wins
     (https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/).
  2. A value from a Secret is never shown, only its size; where the Secret or the key is missing that is said, and where
     it may not be read it is unknown.
  3. $(NAME) is left as it is: put in, a secret would stand in a variable whose name does not say so.
  4. It is what a container started now would get. One that runs has what was there when it started, and whatever its
     program added since.
"""

import asyncio
import base64
import binascii
from typing import Literal

from skyflo_mcp.kubernetes.answers import stamp
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_mcp.kubernetes.workload import TemplateKind, containers, find_container
from skyflo_runbooks.model.errors import BadInput, Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

Source = Literal["ConfigMap", "Secret"]
_FROM: tuple[tuple[str, Source], ...] = (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
_KEYS: tuple[tuple[str, Source], ...] = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))
# An object's data; None where there is no such object, a text where it may not be read.
Data = dict[str, str] | str | None


async def k8s_environment(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    kind: Literal["Pod"] | TemplateKind = "Pod",
    container: str | None = None,
) -> Json:
    """List the environment variables of a container with where each comes from; of a Secret's value only the size.

    `missing` names the ConfigMaps, Secrets and keys that are not there though the container needs them.
    """
    resource = await cluster.resource(kind)
    manifest = await cluster.get(ObjectRef(resource.kind, name, namespace, resource.api_version))
    chosen = _container(manifest, container)
    wanted = sorted(_referenced(chosen))
    read = await asyncio.gather(*(_data(cluster, source, namespace, one) for source, one in wanted))
    variables, missing, unknown = _variables(chosen, dict(zip(wanted, read, strict=True)))
    return {
        "object": str(ObjectRef.of(manifest)),
        "container": chosen["name"],
        "variables": variables,
        "missing": missing,
        "unknown": unknown,
        "at": stamp(await cluster.now()),
    }


def _container(manifest: Json, name: str | None) -> Json:
    if name is not None:
        return find_container(manifest, name).value
    known = [one for one in containers(manifest) if not one.init]
    if len(known) != 1:
        names = ", ".join(one.name for one in known) or "none"
        raise BadInput("It has not exactly one container.", next_step=f"Say container=…; it has: {names}.")
    return known[0].value


def _referenced(container: Json) -> set[tuple[Source, str]]:
    found: set[tuple[Source, str]] = set()
    for one in container.get("envFrom") or []:
        found |= {(source, str(one[member].get("name", ""))) for member, source in _FROM if one.get(member)}
    for one in container.get("env") or []:
        given = one.get("valueFrom") or {}
        found |= {(source, str(given[member].get("name", ""))) for member, source in _KEYS if given.get(member)}
    return found


async def _data(cluster: Cluster, source: Source, namespace: str, name: str) -> Data:
    try:
        found = await cluster.get(ObjectRef(source, name, namespace, "v1"))
    except NotFound:
        return None
    except (Unknown, BadInput) as error:
        return error.message
    return {str(key): str(value) for key, value in (found.get("data") or {}).items()}


def _variables(container: Json, data: dict[tuple[Source, str], Data]) -> tuple[list[Json], list[str], list[str]]:
    """Return the variables, what is missing, and what could not be read; by rules 1 and 2."""
    found: dict[str, Json] = {}
    missing: list[str] = []
    unknown: list[str] = []
    for one in container.get("envFrom") or []:
        for member, source in _FROM:
            if ref := one.get(member):
                held = data[(source, str(ref.get("name", "")))]
                _note(held, source, ref, "", missing, unknown)
                for key, value in held.items() if isinstance(held, dict) else ():
                    name = f"{one.get('prefix') or ''}{key}"
                    found[name] = _variable(name, source, ref, key, value)
    for one in container.get("env") or []:
        found[str(one.get("name"))] = _explicit(one, data, missing, unknown)
    return list(found.values()), missing, unknown


def _explicit(one: Json, data: dict[tuple[Source, str], Data], missing: list[str], unknown: list[str]) -> Json:
    name, given = str(one.get("name")), one.get("valueFrom") or {}
    for member, source in _KEYS:
        if ref := given.get(member):
            held, key = data[(source, str(ref.get("name", "")))], str(ref.get("key", ""))
            _note(held, source, ref, key, missing, unknown)
            return _variable(name, source, ref, key, held.get(key) if isinstance(held, dict) else None)
    if field := at(given, "fieldRef", "fieldPath"):
        return {"name": name, "value": None, "source": f"the pod's {field}"}
    if resource := at(given, "resourceFieldRef", "resource"):
        return {"name": name, "value": None, "source": f"the container's {resource}"}
    return {"name": name, "value": one.get("value", ""), "source": "written in the object"}


def _variable(name: str, source: Source, ref: Json, key: str, value: str | None) -> Json:
    shown = _size(value) if source == "Secret" and value is not None else value
    return {"name": name, "value": shown, "source": f"{source} {ref.get('name')}, key {key}"}


def _note(held: Data, source: Source, ref: Json, key: str, missing: list[str], unknown: list[str]) -> None:
    label = f"{source} {ref.get('name')}"
    if isinstance(held, str):
        unknown.append(f"{label}: {held}")
    elif ref.get("optional"):
        return
    elif held is None:
        missing.append(f"{label} is not there")
    elif key and key not in held:
        missing.append(f"{label} has no key {key}")


def _size(value: str) -> str:
    try:
        return f"({len(base64.b64decode(value, validate=True))} bytes)"
    except binascii.Error:
        return f"({len(value)} bytes)"
