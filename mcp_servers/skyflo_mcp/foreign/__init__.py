"""Other people's MCP servers: how one is reached, what it lists, and what it answers, all of it as data.

Nothing here knows which of their tools may be called, nor shows anything to anybody: the gateway decides that
(`skyflo_runbooks.gateway.foreign`). FastMCP is imported when a server is reached for the first time.
"""
