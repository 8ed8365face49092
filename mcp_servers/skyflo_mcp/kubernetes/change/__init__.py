"""Change tools: each reads what it needs and renders the exact request. None sends anything."""
