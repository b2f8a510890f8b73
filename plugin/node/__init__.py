"""A real OpenSearch on this machine, without Docker: assembled from Maven Central, on loopback only."""

from opensearch_multivector.plugin.node.control import (
    NodeStatus,
    clean_cache,
    clean_node,
    log_file,
    node_names,
    node_status,
    running_url,
    start_node,
    stop_node,
)

__all__ = [
    "NodeStatus",
    "clean_cache",
    "clean_node",
    "log_file",
    "node_names",
    "node_status",
    "running_url",
    "start_node",
    "stop_node",
]
