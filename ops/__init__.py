"""What operators look at: metrics, recall canaries, dashboards, the search service and its console."""
