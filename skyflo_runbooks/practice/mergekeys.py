"""The merge keys of lists, by field name: how strategic merge patch and field ownership tell items apart.

Source: the `patchMergeKey` and `listMapKey` tags in k8s.io/api. A list that is not named here is replaced whole, as
`tolerations`, `args` and `command` are.
"""

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "ports": ("containerPort", "port", "protocol"),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "secrets": ("name",),
    "addresses": ("type",),
    "taints": ("key", "effect"),
}

# Lists of plain values that strategic merge patch unites.
MERGED_SETS = {"finalizers"}


def patch_key(field: str, items: list[object]) -> str:
    """Return the one key that strategic merge patch uses, or an empty string for a list replaced whole."""
    keys = MERGE_KEYS.get(field)
    if not keys:
        return ""
    if field == "ports":
        # Ports of containers merge by containerPort, those of Services by port.
        dicts = [item for item in items if isinstance(item, dict)]
        return "containerPort" if any("containerPort" in item for item in dicts) else "port"
    return keys[0]
