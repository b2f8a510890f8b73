"""Runs beside one another: what of their differences is not chance."""
