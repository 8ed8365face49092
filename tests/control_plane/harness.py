"""A real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager and kube-scheduler.

They run as plain processes on free loopback ports with all their files in one folder, and end with the process that
started them. There is no node: nodes are objects, played (`staging`), or one real node joins (`tests.real_node`).
Three people can ask: `admin` may do everything, `reader` sees everything but Secrets, `operator` may also change
workloads. The API server's own audit log is a second witness of who wrote what.
"""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import httpx
import yaml

from skyflo_runbooks.model.json import Json, at
from tests.control_plane.builds import Binaries
from tests.control_plane.pki import Authority, signing_key
from tests.control_plane.processes import Child, Children, free_ports, wait_until

Role: TypeAlias = Literal["admin", "reader", "operator", "played-kubelet", "node"]

NODE = "node-a"  # the one real node that may join
_HERE = Path(__file__).parent
_USERS: dict[Role, str] = {
    "admin": 'admin,admin,"system:masters"',
    "reader": 'reader,reader,"skyflo:readers"',
    "operator": 'operator,operator,"skyflo:operators"',
    "played-kubelet": 'played-kubelet,played-kubelet,"system:masters"',
    "node": f'system:node:{NODE},node,"system:nodes"',
}


@dataclass(frozen=True)
class Written:
    """One write that the API server's audit log recorded."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    dry_run: bool
    code: int
    body: Json | None


class ControlPlane:
    """A running control plane. Make one with `running`."""

    def __init__(self, folder: Path, binaries: Binaries, children: Children) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self._binaries = binaries
        self._children = children
        self._etcd_port, self._peer_port, self._port = free_ports(3)
        self._tokens: dict[Role, str] = {role: secrets.token_urlsafe(24) for role in _USERS}
        self.tls = ssl.create_default_context(cafile=str(self.ca))
        self._apiserver: Child | None = None

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def ca(self) -> Path:
        """The certificate authority of the API server and of the kubelets."""
        return self.authority.certificate

    def token(self, role: Role) -> str:
        """The bearer token of a role."""
        return self._tokens[role]

    def kubeconfig(self, role: Role = "operator") -> Path:
        """A kubeconfig file of a role, readable by its owner only."""
        return self.folder / f"{role}.kubeconfig"

    def http(self, role: Role = "admin") -> httpx.Client:
        """A client that speaks to the API server as a role."""
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        return httpx.Client(base_url=self.server, verify=self.tls, headers=headers, timeout=30)

    def get(self, path: str) -> Json:
        """Read one object or list as admin; an HTTP error is raised."""
        with self.http() as client:
            answer = client.get(path)
            answer.raise_for_status()
            return dict(answer.json())

    def apply(self, manifests: Iterable[Json], manager: str = "kubectl-client-side-apply") -> None:
        """Create objects as admin; merge into those that exist, as `kubectl apply` does.

        Raises:
            RuntimeError: the API server refused one; its words are in the message.
        """
        with self.http() as client:
            plurals = _Plurals(client)
            for manifest in manifests:
                answer = _create_or_merge(client, plurals.collection(manifest), manifest, manager)
                if answer.is_error:
                    raise RuntimeError(f"{manifest['kind']} {manifest['metadata']['name']} was refused: {answer.text}")

    def merge(self, path: str, patch: Json) -> None:
        """Merge a patch into one object as admin; an HTTP error is raised."""
        with self.http() as client:
            headers = {"Content-Type": "application/merge-patch+json"}
            client.patch(path, json=patch, headers=headers).raise_for_status()

    def writes(self, user: str | None = None) -> list[Written]:
        """The writes in the audit log so far, oldest first; of one user, or of all. Reviews keep nothing: no writes."""
        lines = (self.folder / "audit.log").read_text().splitlines()
        recorded = [_written(json.loads(line)) for line in lines if '"requestObject"' in line or '"delete' in line]
        kept = [each for each in recorded if not each.resource.endswith("reviews")]
        return [each for each in kept if user in (None, each.user)]

    def restart_api_server(self) -> None:
        """End the API server and start it again on the same port, as after a crash."""
        if self._apiserver:
            self._children.stop_one(self._apiserver)
        self._start_api_server()

    def start(self) -> None:
        """Start the four processes, and return when a pod could be created."""
        self._write_files()
        self._start_etcd()
        self._start_api_server()
        kubeconfig = self.kubeconfig("admin")
        self._children.start("kube-controller-manager", [
            self._binaries["kube-controller-manager"], f"--kubeconfig={kubeconfig}", "--leader-elect=false",
            f"--service-account-private-key-file={self.folder / 'sa.key'}", f"--root-ca-file={self.ca}",
            "--controllers=*", "--secure-port=0", "--horizontal-pod-autoscaler-sync-period=5s",
        ])  # fmt: skip
        self._children.start("kube-scheduler", [
            self._binaries["kube-scheduler"], f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0",
        ])  # fmt: skip
        self.apply(yaml.safe_load_all((_HERE / "roles.yaml").read_text()))
        self._wait("the default service account", "/api/v1/namespaces/default/serviceaccounts/default")

    def _write_files(self) -> None:
        signing_key(self.folder / "sa.key")
        rows = "".join(f"{self._tokens[role]},{user}\n" for role, user in _USERS.items())
        _private(self.folder / "tokens.csv", rows)
        for role in _USERS:
            _private(self.kubeconfig(role), _kubeconfig(self.server, self.ca, role, self.token(role)))

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._children.start("etcd", [
            self._binaries["etcd"], f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        ])  # fmt: skip

    def _start_api_server(self) -> None:
        names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc", "10.96.0.1"]
        serving = self.authority.serving("kube-apiserver", names)
        client = self.authority.client("kube-apiserver-kubelet-client", "system:masters")
        signing = self.folder / "sa.key"
        self._apiserver = self._children.start("kube-apiserver", [
            self._binaries["kube-apiserver"], f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1", f"--secure-port={self._port}", f"--cert-dir={self.folder}",
            f"--tls-cert-file={serving.certificate}", f"--tls-private-key-file={serving.key}",
            f"--service-account-key-file={signing}", f"--service-account-signing-key-file={signing}",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            f"--kubelet-certificate-authority={self.ca}", "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={client.certificate}", f"--kubelet-client-key={client.key}",
            f"--audit-log-path={self.folder / 'audit.log'}", f"--audit-policy-file={_HERE / 'audit-policy.yaml'}",
        ])  # fmt: skip
        self._wait("the API server ready", "/readyz")

    def _wait(self, what: str, path: str) -> None:
        with self.http() as client:
            wait_until(what, lambda: _answers(client, path), within=60, check=self._children.check)


@contextmanager
def running(folder: Path, binaries: Binaries) -> Iterator[ControlPlane]:
    """A control plane in this empty folder, for the length of a `with` block."""
    children = Children(folder / "logs")
    plane = ControlPlane(folder, binaries, children)
    try:
        plane.start()
        yield plane
    finally:
        children.stop()


class _Plurals:
    """Where objects of a kind are, from what the server itself says of its kinds."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}

    def collection(self, manifest: Json) -> str:
        """The API path of the list that this object belongs to."""
        version, kind = str(manifest["apiVersion"]), str(manifest["kind"])
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if version not in self._known:
            listed = self._client.get(root).raise_for_status().json()["resources"]
            whole = [each for each in listed if "/" not in each["name"]]
            self._known[version] = {each["kind"]: (each["name"], each["namespaced"]) for each in whole}
        plural, namespaced = self._known[version][kind]
        scope = f"/namespaces/{at(manifest, 'metadata', 'namespace', default='default')}" if namespaced else ""
        return f"{root}{scope}/{plural}"


def _create_or_merge(client: httpx.Client, collection: str, manifest: Json, manager: str) -> httpx.Response:
    owner = {"fieldManager": manager}
    merged = client.patch(
        f"{collection}/{manifest['metadata']['name']}",
        params=owner,
        json=manifest,
        headers={"Content-Type": "application/strategic-merge-patch+json"},
    )
    if merged.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE:  # custom resources have no strategic merge
        headers = {"Content-Type": "application/merge-patch+json"}
        path = f"{collection}/{manifest['metadata']['name']}"
        merged = client.patch(path, params=owner, json=manifest, headers=headers)
    return client.post(collection, params=owner, json=manifest) if merged.status_code == 404 else merged


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def _written(record: Json) -> Written:
    reference = record.get("objectRef", {})
    return Written(
        user=str(at(record, "user", "username", default="")),
        verb=str(record["verb"]),
        resource="/".join(filter(None, [reference.get("resource"), reference.get("subresource")])),
        namespace=str(reference.get("namespace", "")),
        name=str(reference.get("name", "")),
        dry_run="dryRun=All" in record["requestURI"] or "All" in at(record, "requestObject", "dryRun", default=[]),
        code=int(at(record, "responseStatus", "code", default=0)),
        body=record.get("requestObject"),
    )


def _kubeconfig(server: str, ca: Path, user: str, token: str) -> str:
    return yaml.safe_dump({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "control-plane", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "control-plane", "context": {"cluster": "control-plane", "user": user}}],
        "current-context": "control-plane",
    })  # fmt: skip


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
