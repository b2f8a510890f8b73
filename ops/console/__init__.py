"""The web page of `osmv serve`: static files, no build step, nothing from elsewhere."""
