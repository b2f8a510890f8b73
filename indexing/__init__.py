"""Readers, what a document becomes, the resumable bulk writer."""
