"""The operator's own MCP servers."""
