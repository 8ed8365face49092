"""From a kubeconfig, or a pod's ServiceAccount, to an httpx client that trusts one CA and carries one credential.

The `kubernetes` library reads the file, runs exec plug-ins and refreshes tokens; httpx does the talking.

Rules:
  1. A path that is given must exist. With none, `KUBECONFIG` or ~/.kube/config, and where neither is there and the
     process runs in a pod, the pod's ServiceAccount.
  2. The credential is asked for again before it ends, in a thread, because a plug-in may run a program.
  3. The kubelets get our credential only over TLS verified against the cluster's own CA. Without a CA, or with
     `insecure-skip-tls-verify`, they are not asked at all.
"""

import asyncio
import logging
import os
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from skyflo_mcp.kubernetes.errors import without_tokens
from skyflo_mcp.kubernetes.streams import Streams
from skyflo_mcp.kubernetes.transport import socket_options
from skyflo_runbooks.model.errors import BadInput, NotAllowed, SkyfloError

_FRESH_SECONDS = 20.0
_POD_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class Connection(msgspec.Struct, frozen=True):
    """The clients of one cluster: to the API server, streams through it, and to the kubelets or why there is none."""

    client: httpx.AsyncClient
    streams: Streams
    context: str
    ca: bytes
    kubelets: httpx.AsyncClient | None
    no_kubelets: str = ""


class Bearer(httpx.Auth):
    """Puts the credential into each request; asks `read` for it again when it is older than 20 seconds.

    Its `repr` shows nothing of it.
    """

    def __init__(self, read: Callable[[], str | None]) -> None:
        self._read = read
        self._header: str | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Authenticate one request; after a 401 once more with a credential read anew."""
        header = await self.header()
        if header:
            request.headers["Authorization"] = header
        response = yield request
        if response.status_code == 401 and request.method == "GET":
            self._read_at = float("-inf")
            anew = await self.header()
            if anew and anew != header:
                request.headers["Authorization"] = anew
                yield request

    async def header(self) -> str | None:
        """Return the Authorization header as it is now; None where there is no bearer token."""
        async with self._reading:
            if time.monotonic() - self._read_at > _FRESH_SECONDS:
                self._header = await asyncio.to_thread(self._read)
                self._read_at = time.monotonic()
            return self._header

    def __repr__(self) -> str:
        return "Bearer(masked)"


def connect(path: str | None, context: str | None) -> Connection:
    """Open the clients of a kubeconfig's context; see `Cluster.from_kubeconfig`."""
    from kubernetes.client import Configuration

    configuration = Configuration()
    name = _load(configuration, path, context)
    if not configuration.host.startswith(("http://", "https://")):
        raise BadInput(f"The kubeconfig's server is no http(s) address: {configuration.host[:200]!r}.")
    ca = Path(configuration.ssl_ca_cert).read_bytes() if configuration.ssl_ca_cert else b""
    tls = _tls(configuration)
    auth = Bearer(_reader(configuration))
    client = httpx.AsyncClient(
        base_url=configuration.host,
        auth=auth,
        headers={"User-Agent": "skyflo-runbooks"},
        transport=httpx.AsyncHTTPTransport(
            verify=tls,
            proxy=configuration.proxy or None,
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16),
            socket_options=socket_options(),
        ),
        **_server_name(configuration),
    )
    why_not = _no_kubelets(configuration, ca)
    kubelets = None if why_not else httpx.AsyncClient(verify=tls, auth=auth, trust_env=False)
    streams = Streams(
        configuration.host,
        header=auth.header,
        tls=tls,
        server_name=configuration.tls_server_name or "",
        proxy=configuration.proxy or None,
    )
    return Connection(client=client, streams=streams, context=name, ca=ca, kubelets=kubelets, no_kubelets=why_not)


def _load(configuration: Any, path: str | None, context: str | None) -> str:
    """Fill `configuration` from the kubeconfig or the pod's ServiceAccount; return the context's name."""
    import yaml
    from kubernetes.config import ConfigException, kube_config

    loading: Any = kube_config  # the library has no types
    said = path or os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [Path(part).expanduser() for part in said.split(os.pathsep) if part]
    if not any(file.is_file() for file in files):
        if path is None and _POD_TOKEN.is_file():
            return _load_pod(configuration)
        raise BadInput(
            f"There is no kubeconfig at {said}.",
            next_step="Give one with --kubeconfig, or try the practice cluster: `skyflo-runbooks demo`.",
        )
    try:
        merged = loading.KubeConfigMerger(os.pathsep.join(str(file) for file in files)).config
        if merged is None:
            raise BadInput(f"The kubeconfig at {said} is empty.")
        # Without a base path, relative files are looked for beside the kubeconfig that names them.
        single = loading.KubeConfigLoader(config_dict=merged, active_context=context, config_base_path=None)
        _load_user(single, merged, configuration, said)
    except ConfigException as error:
        raise _unusable(said, error) from None
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"The kubeconfig at {said} cannot be read: {without_tokens(str(error))[:300]}.",
            next_step="`kubectl config view` shows whether kubectl reads it.",
        ) from None
    return str(single.current_context["name"])


def _load_user(loader: Any, merged: Any, configuration: Any, said: str) -> None:
    """Load the credential. The library only logs when an exec plug-in fails, and would go on as nobody."""
    said_by_library = _Lines()
    root = logging.getLogger()
    root.addHandler(said_by_library)
    try:
        loader.load_and_set(configuration)
    finally:
        root.removeHandler(said_by_library)
    name = loader.current_context["context"].get("user")
    user = merged["users"].get_with_name(name, safe=True) if name and merged.safe_get("users") else None
    plugin = user["user"].safe_get("exec") if user and user["user"] else None
    if plugin and not (configuration.api_key or configuration.cert_file):
        command = str(plugin["command"])
        why = without_tokens("; ".join(said_by_library.lines))[:300].strip() or "it gave no credential"
        raise NotAllowed(
            f"The kubeconfig at {said} gets its credential from {command!r}, and that failed: {why}",
            next_step="Run that command by hand, log in again, and try once more.",
        )


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record's text."""
        self.lines.append(record.getMessage())


def _load_pod(configuration: Any) -> str:
    from kubernetes.config import ConfigException, incluster_config

    loading: Any = incluster_config
    try:
        loading.load_incluster_config(client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise BadInput(
            f"This pod's ServiceAccount cannot be used: {error}.",
            next_step="Mount its token (automountServiceAccountToken), or give --kubeconfig.",
        ) from None
    return "in-cluster"


def _unusable(said: str, error: Exception) -> SkyfloError:
    """Return what a refusal of the kubeconfig means: a credential that cannot be had, or a file that is wrong."""
    text = without_tokens(str(error))[:500].rstrip(".")
    if "exec" in text.lower() or "token" in text.lower() or "expired" in text.lower():
        return NotAllowed(
            f"The kubeconfig at {said} gives no credential: {text}.",
            next_step="Log in to the cluster again; `kubectl auth whoami` shows whether it worked.",
        )
    return BadInput(
        f"The kubeconfig at {said} cannot be used: {text}.",
        next_step="`kubectl config get-contexts` lists its contexts; choose one with --context.",
    )


def _reader(configuration: Any) -> Callable[[], str | None]:
    """Return what gives the Authorization header, refreshed by the library where it is about to end."""

    def read() -> str | None:
        from kubernetes.config import ConfigException

        try:
            header: str | None = configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        except (ConfigException, OSError, ValueError) as error:
            raise NotAllowed(
                f"The cluster's credential could not be renewed: {without_tokens(str(error))[:300]}.",
                next_step="Log in to the cluster again.",
            ) from None
        return header

    return read


def _tls(configuration: Any) -> ssl.SSLContext:
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        try:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        except (OSError, ssl.SSLError) as error:
            raise BadInput(
                f"The kubeconfig's client certificate cannot be used: {error}.",
                next_step="Fetch the kubeconfig again from whoever made the cluster.",
            ) from None
    return tls


def _server_name(configuration: Any) -> dict[str, Any]:
    """`tls-server-name` of the kubeconfig, as httpx takes it: an extension on every request."""
    name = configuration.tls_server_name
    if not name:
        return {}

    async def set_name(request: httpx.Request) -> None:
        request.extensions = {**request.extensions, "sni_hostname": name}

    return {"event_hooks": {"request": [set_name]}}


def _no_kubelets(configuration: Any, ca: bytes) -> str:
    if not configuration.verify_ssl:
        return "the kubeconfig skips TLS verification, so a kubelet cannot be told from an impostor"
    if not ca:
        return "the kubeconfig names no CA of its own, so a kubelet cannot be told from an impostor"
    return ""
