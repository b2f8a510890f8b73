"""`.npz`: one array (n_tokens, dim) per document, named by the document's id."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.base import chain
from opensearch_multivector.indexing.records import RejectedError, token_vectors

_SUFFIX = ".npy"


class NpzVectors:
    """See `VectorStore`. Arrays are read one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is no readable .npz file: {error}") from None
        self._members = [member for member in self._archive.infolist() if member.filename.endswith(_SUFFIX)]
        self._by_id = {member.filename.removesuffix(_SUFFIX): member for member in self._members}
        self.count = len(self._members)

    def signature(self) -> bytes:
        """See `VectorStore`."""
        return chain(b"npz", *(self.content(position) for position in range(self.count)))

    def ids(self) -> list[str]:
        """See `VectorStore`."""
        return [member.filename.removesuffix(_SUFFIX) for member in self._members]

    def content(self, position: int) -> bytes:
        """See `VectorStore`; the archive has each array's CRC, so nothing is read."""
        member = self._members[position]
        return f"{member.filename}\0{member.CRC}\0{member.file_size}".encode(errors="backslashreplace")

    def vectors(self, position: int, doc_id: str) -> FloatArray:
        """See `VectorStore`; goes by id."""
        member = self._by_id.get(doc_id)
        if member is None:
            raise RejectedError(f"{self._path.name} has no array named {doc_id!r}", doc_id)
        try:
            with self._archive.open(member) as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RejectedError(f"array {doc_id!r} in {self._path.name} can't be read: {error}", doc_id) from None
        return token_vectors(array, doc_id)
