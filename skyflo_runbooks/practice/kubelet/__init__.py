"""The workload part: what kubelets would do to pods, decided without I/O so that it runs on any API server."""

from skyflo_runbooks.practice.kubelet.node import HttpAnswer, Kubelet, LogLine, Usage, node_object
from skyflo_runbooks.practice.kubelet.world import Action, Remove, Report, SetStatus, World

__all__ = [
    "Action",
    "HttpAnswer",
    "Kubelet",
    "LogLine",
    "Remove",
    "Report",
    "SetStatus",
    "Usage",
    "World",
    "node_object",
]
