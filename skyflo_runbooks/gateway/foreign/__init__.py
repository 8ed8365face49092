"""The operator's own MCP servers: which of their tools may be called, and what becomes of what they say.

A server of somebody else's is never believed. What its tools may do is what the operator's configuration says, and
everything that comes from it is data.
"""
