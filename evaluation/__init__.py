"""Topics, qrels and runs in and out; measures; the LIMIT generator."""
