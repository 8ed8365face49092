"""Kubernetes: the one transport to the API server, and the tools over it."""

from skyflo_mcp.kubernetes.catalogue import TOOLS, Tool, call, checked, tool
from skyflo_mcp.kubernetes.client import Cluster, Listing, Table
from skyflo_mcp.kubernetes.errors import ApiError, Conflict, Forbidden, Invalid, NotAvailable, NotFound, Unauthorized
from skyflo_mcp.kubernetes.logs import Logs
from skyflo_mcp.kubernetes.proxying import ProxyAnswer
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_mcp.kubernetes.sending import Sent
from skyflo_mcp.kubernetes.serving import server
from skyflo_mcp.kubernetes.usage import Sample, Usage

__all__ = [
    "TOOLS",
    "ApiError",
    "Cluster",
    "Conflict",
    "Forbidden",
    "Invalid",
    "Listing",
    "Logs",
    "NotAvailable",
    "NotFound",
    "ProxyAnswer",
    "Resource",
    "Sample",
    "Sent",
    "Table",
    "Tool",
    "Unauthorized",
    "Usage",
    "call",
    "checked",
    "server",
    "tool",
]
