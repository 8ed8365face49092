"""How a path and a port of a Service go through the API server's proxy. Pure."""

from urllib.parse import quote

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at


def quoted(path: str) -> str:
    """Return a path with its query as it goes into a URL; one that could leave the Service is `BadInput`."""
    plain, mark, query = path.partition("?")
    if not plain.startswith("/") or any(part in (".", "..") for part in plain.split("/")):
        raise BadInput(f"A path that begins with '/' and has no '.' or '..' was expected, got {path[:80]!r}.")
    return quote(plain, safe="/%:@!$&'()*+,;=~-._") + (mark + quote(query, safe="=&%/?:@!$'()*+,;~-._") if mark else "")


def chosen_port(service: Json) -> str | int:
    """Return the port to ask: the only one, else `http`, else 80.

    By its name where it has one: without a port the API server finds only endpoints whose port has no name, and says
    that there are none.
    """
    ports = at(service, "spec", "ports", default=[])
    by_name = {one.get("name", ""): one for one in ports}
    web = [one for one in ports if one.get("port") == 80]
    chosen = ports[0] if len(ports) == 1 else by_name.get("http") or (web[0] if web else None)
    if chosen is None:
        known = ", ".join(str(one.get("name") or one.get("port")) for one in ports) or "none"
        raise BadInput(
            f"Service {at(service, 'metadata', 'name')} has several ports, and none of them is http or 80.",
            next_step=f"Say port=…; it has: {known}.",
        )
    return str(chosen.get("name") or "") or int(chosen["port"])
