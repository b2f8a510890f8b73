"""The query layer: first stages, rerankers, fusion, explain, `Searcher`."""
