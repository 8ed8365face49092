"""Read tools: each calls the API and answers a structured, compact result."""
