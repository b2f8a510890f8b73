"""Test collections: topics, judgements and documents from wherever a researcher has them."""
