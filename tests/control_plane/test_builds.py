"""Binaries are found where they should be, keyed by what builds them, and appear whole or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import needs
from tests.control_plane import builds


def test_the_key_changes_with_each_byte_that_decides_the_build(tmp_path: Path) -> None:
    """Another dependency, another program or another version never runs with old binaries."""
    source = tmp_path / "go.sum"
    source.write_text("a h1:1")
    first = builds.key("v1.36.3", [source])
    source.write_text("a h1:2")
    assert len({first, builds.key("v1.36.3", [source]), builds.key("v1.36.4", [source])}) == 3


def test_the_modules_versions_are_the_ones_pinned_here() -> None:
    """The Go module builds the Kubernetes that the harness says it runs."""
    module = (Path(builds.__file__).parent / "go" / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{builds.KUBERNETES}" in module
    staging = builds.KUBERNETES.removeprefix("1.")
    assert f"k8s.io/kubelet => k8s.io/kubelet v0.{staging}" in module


def test_kubebuilder_assets_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a control plane for controller tests needs no second one; what is not in it is absent by name."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("SKYFLO_CACHE", str(tmp_path / "empty"))
    etcd = tmp_path / "etcd"
    etcd.touch(mode=0o755)
    assert builds.find("etcd") == etcd
    assert builds.gather(["etcd", "kubelet"]) == builds.Absent(("kubelet",))


def test_a_build_that_fails_says_the_compilers_words(tmp_path: Path) -> None:
    """No half a binary is left, and the reason is in the message."""
    needs.program("go", "install Go 1.21 or newer from https://go.dev/dl")
    module, target = tmp_path / "broken", tmp_path / "out"
    module.mkdir()
    target.mkdir()
    (module / "go.mod").write_text("module broken\n\ngo 1.21\n")
    (module / "main.go").write_text("package main\n\nfunc main() { undefinedName() }\n")
    with pytest.raises(builds.BuildError, match="undefined: undefinedName"):
        builds.go_build(module, ["."], target)
    assert not list(target.iterdir())


def test_a_build_makes_programs_that_run(tmp_path: Path) -> None:
    """The binary is named after its package and does what its source says."""
    needs.program("go", "install Go 1.21 or newer from https://go.dev/dl")
    module, target = tmp_path / "source", tmp_path / "out"
    module.mkdir()
    target.mkdir()
    (module / "go.mod").write_text("module hello\n\ngo 1.21\n")
    (module / "main.go").write_text('package main\n\nfunc main() { print("hello") }\n')
    builds.go_build(module, ["."], target)
    done = subprocess.run([target / "hello"], capture_output=True, text=True, check=True)
    assert done.stderr == "hello"
