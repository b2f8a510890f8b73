"""Metrics of searches and of the cluster, in Prometheus' terms."""
