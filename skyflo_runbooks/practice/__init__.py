"""The practice cluster: a simulated Kubernetes cluster to learn on, to demonstrate with and to test against.

It speaks the Kubernetes API over HTTP well enough for kubectl and client libraries, plays Deployments, pods and nodes
by the rules of real ones, and says that it is a simulator. What it does not know it refuses by name.
"""

from skyflo_runbooks.practice.cluster import PracticeCluster
from skyflo_runbooks.practice.scenario import Scenario, load, names

__all__ = ["PracticeCluster", "Scenario", "load", "names"]
