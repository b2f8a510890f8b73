"""`osmv serve`: a REST search API over `AsyncSearcher`."""
