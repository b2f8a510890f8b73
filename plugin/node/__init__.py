"""A real OpenSearch on this machine, without Docker."""
