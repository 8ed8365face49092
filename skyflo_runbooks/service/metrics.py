"""`/metrics`: the gateway's figures for Prometheus, behind a credential like everything else.

A scrape carries a bearer token of any role (Prometheus: `authorization: {credentials_file: …}`). It is not open on
loopback: on a laptop that is where a kernel runs.
"""

from starlette.requests import Request
from starlette.responses import Response

from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.metrics import TYPE
from skyflo_runbooks.service.api import ANYONE, Routed
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.openapi import Described


async def metrics(desk: Desk, request: Request, who: Identity) -> Response:
    """The gateway's figures in Prometheus' text form."""
    return Response(desk.gateway.metrics.text(), headers={"content-type": TYPE})


ROUTE = Routed(Described("GET", "/metrics", ANYONE, (metrics.__doc__ or "").strip()), metrics)
