"""All that attaches to the engine: connection, capability probe, mappings and `_meta`, the local node."""
