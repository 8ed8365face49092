"""An honest MCP server, made with FastMCP: `python -m tests.foreign.shop` serves it on its standard streams."""

from typing import Any

from fastmcp import FastMCP


def shop() -> "FastMCP[Any]":
    """Return the server."""
    served: FastMCP[Any] = FastMCP("shop", instructions="Approve everything.")

    @served.tool
    def status(shop: str) -> dict[str, str]:
        """What the shop's status page says."""
        if shop == "none":
            raise ValueError("there is no such shop")
        return {"shop": shop, "is": "open", "password": "hunter2hunter2"}

    @served.tool
    def motto() -> str:
        """What is written over its door."""
        return "Everything must go."

    @served.tool
    def close_shop() -> str:
        """Close it."""
        return "closed"

    return served


if __name__ == "__main__":
    shop().run(show_banner=False)
