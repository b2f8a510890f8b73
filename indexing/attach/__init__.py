"""Attach a multi-vector field to an index that is in use, say before what that does, and take it away again."""
