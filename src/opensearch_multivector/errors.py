"""The errors a user can cause or mend. Each message is one sentence or two: what is wrong, and what to do."""

from __future__ import annotations

_LONGEST = 1_200  # characters of a message; more is what somebody sent, not what went wrong
_VISIBLE: dict[int, int | str] = {0x7F: 0x2421}
_VISIBLE |= {code: 0x2400 + code for code in range(0x20)}
_VISIBLE |= dict.fromkeys(map(ord, "\t\n\r\u2028\u2029"), " ")
# C1 controls, marks and overrides of direction, halves of surrogate pairs.
_VISIBLE |= dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd")
_VISIBLE |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


class OsmvError(Exception):
    """Base of every error this project raises on purpose; ``exit_code`` is what ``osmv`` exits with."""

    exit_code = 1

    def __str__(self) -> str:
        """The sentence, fit for a terminal: what it quotes may come from a document, a name or a cluster."""
        return visible(_shortened(super().__str__()))


class InputError(OsmvError):
    """Something given by the user is wrong: a file, a line, a field, an option. Names which."""

    exit_code = 2


class ClusterError(OsmvError):
    """The cluster can't be reached, refuses the caller, or lacks something that is needed."""

    exit_code = 3


class BudgetError(ClusterError):
    """A search did not end within the time that it was given."""


class BusyError(ClusterError):
    """Too many searches wait here for their turn already."""


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


def visible(text: str) -> str:
    """A text from anywhere as it may be shown on a terminal: as long as before, without what a terminal would act on.

    Control characters become their pictures (U+241B for ESC), ends of lines and tabs blanks; what else moves the
    cursor, turns the direction of writing or is no character becomes U+FFFD.
    """
    return text.translate(_VISIBLE)


def _shortened(text: str) -> str:
    """Begin and end of a text: what is wrong, and what to do."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST * 2 // 3]} ... {text[-_LONGEST // 3 :]}"
