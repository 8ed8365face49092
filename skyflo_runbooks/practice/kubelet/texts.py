"""The words a real kubelet 1.36 was seen to print (a real node's verbatim states and events)."""

from skyflo_runbooks.model.json import Json

PRESENT = 'Container image "{image}" already present on machine and can be accessed by the pod'
PULLING = 'Pulling image "{image}"'
PULLED = 'Successfully pulled image "{image}" in {ms}ms ({ms}ms including waiting). Image size: {size} bytes.'
CREATED = "Container created"
STARTED = "Container started"
STOPPING = "Stopping container {name}"
NO_TAG = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "{full}": '
    'failed to resolve reference "{full}": {full}: not found'
)
NO_REGISTRY = (
    'failed to pull and unpack image "{full}": failed to resolve reference "{full}": failed to do request: '
    'Head "https://{host}/v2/{repository}/manifests/{tag}": dial tcp: lookup {host} on 10.96.0.10:53: no such host'
)
NO_IMAGE = "pull access denied, repository does not exist or may require authorization: server message: "
BACKOFF_PULL = 'Back-off pulling image "{image}"'
BACKOFF_EVENT = "Back-off restarting failed container {name} in pod {pod}_{namespace}({uid})"
BACKOFF_STATE = "back-off {delay} restarting failed container={name} pod={pod}_{namespace}({uid})"
NEVER = 'Container image "{image}" is not present with pull policy of Never'
BAD_NAME = (
    'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference format: '
    "repository name ({repository}) must be lowercase"
)
MOUNT = 'MountVolume.SetUp failed for volume "{volume}" : {kind} "{name}" not found'
AS_ROOT = 'container has runAsNonRoot and image will run as root (pod: "{pod}_{namespace}({uid})", container: {name})'
TOLD_ROOT = 'container\'s runAsUser breaks non-root policy (pod: "{pod}_{namespace}({uid})", container: {name})'


def delay(seconds: float) -> str:
    """Return a Go duration as back-off messages show it: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def pod_words(pod: Json) -> dict[str, str]:
    """Return the words that name a pod in messages."""
    meta = pod["metadata"]
    return {"pod": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}


def split_image(image: str) -> tuple[str, str, str]:
    """Return registry host, repository and tag; no host and no tag mean docker.io and latest."""
    path, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
    host, slash, rest = path.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return host, rest, tag
    return "docker.io", path if slash else f"library/{path}", tag
