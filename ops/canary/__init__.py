"""Canaries: queries whose exact answers are known, by which it is seen that recall is still what it was.

For the exporter and `osmv serve`: `results` reads what the last checks found, `check_due` makes those that are due.
"""
