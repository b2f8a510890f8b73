"""First stages: one file per stage, pure functions to OpenSearch DSL."""
