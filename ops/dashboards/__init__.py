"""Ready-made dashboards and alert rules, as files to bring in."""
