"""The gateway's web face: REST, server-sent events, MCP, and its own pages."""
