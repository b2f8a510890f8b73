"""The errors a user can cause or mend. Each message is one sentence or two: what is wrong, and what to do."""

from __future__ import annotations


class OsmvError(Exception):
    """Base of every error this project raises on purpose; ``exit_code`` is what ``osmv`` exits with."""

    exit_code = 1


class InputError(OsmvError):
    """Something given by the user is wrong: a file, a line, a field, an option. Names which."""

    exit_code = 2


class ClusterError(OsmvError):
    """The cluster can't be reached, refuses the caller, or lacks something that is needed."""

    exit_code = 3


class MismatchError(OsmvError):
    """Index and request don't fit: another encoder, dimension, codec version or field than the index was made with."""

    exit_code = 4


class MissingDependencyError(OsmvError):
    """An optional package is not installed; the message names the extra that brings it."""

    exit_code = 5


class NodeError(OsmvError):
    """The local node can't be fetched, assembled, started or stopped; the message gives the reason."""

    exit_code = 7


class BlobError(OsmvError):
    """A stored codec blob is cut, altered or of an unknown version.

    ``doc_id`` is filled in by whoever knows the document; the codec itself only knows the bytes.
    """

    exit_code = 6

    def __init__(self, reason: str, doc_id: str | None = None) -> None:
        self.reason = reason
        self.doc_id = doc_id
        where = f"document {doc_id!r}: " if doc_id is not None else ""
        super().__init__(f"{where}{reason}")
