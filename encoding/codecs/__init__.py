"""Codecs for token vectors: one file per codec, one table here."""
