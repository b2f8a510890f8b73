"""Rerankers: one file per reranker."""
