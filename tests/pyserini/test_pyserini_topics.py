"""Topics as Anserini's own readers give them, and as we read the same files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyserini_process import Pyserini

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.topics import qrels_of, topics_of
from opensearch_multivector.queries.encoded_query import EncodedQuery

TREC = """
<top>
<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations that participate in international criminal activity.

<narr> Narrative:
A relevant document must name the organizations.

</top>

<top>
<num> Number: 051
<title> Topic: Airbus
Subsidies

<desc> Description:
Document will discuss government assistance.

<narr> Narrative:
None.

</top>
"""
CORE18 = """<top>
<num> Number: 321 </num>
<title>
Women in Parliaments
</title>
<desc>
Pertinent documents will reflect the fact.
</desc>
<narr>
Pertinent documents relating to this issue.
</narr>
</top>
"""
FIRE = """<topics>
<top lang='bn'>
<num>AR26</num>
<title>সিঙ্গুর জমি</title>
<desc>x</desc>
<narr>y</narr>
</top>
</topics>
"""
MICROBLOG = """<top>
<num> Number: MB001 </num>
<title> BBC World Service staff cuts </title>
<querytime> Tue Feb 08 12:30:27 +0000 2011 </querytime>
<querytweettime> 34952194402811904 </querytweettime>
</top>

<top>
<num> Number: MB051 </num>
<query>British Government cuts</query>
<querytweettime> 34952194402811905 </querytweettime>
</top>
"""
WEB = """<webtrack2012>
  <topic number="51" type="faceted">
    <query>horse hooves</query>
    <description>Find information about horse hooves &amp; their care.</description>
    <subtopic number="1" type="inf">Find it.</subtopic>
  </topic>
  <topic number="52" type="ambiguous">
    <query> avp </query>
    <description>Find information about AVP.</description>
  </topic>
</webtrack2012>
"""
COVID = """<?xml version="1.0" encoding="UTF-8"?>
<topics task="COVIDSearch 2020" batch="1">
  <topic number="1">
    <query>coronavirus origin &amp; spread</query>
    <question>what is the origin of COVID-19</question>
    <narrative>seeking range of information</narrative>
  </topic>
  <topic number="2"><query>weather response</query><question>q</question><narrative>n</narrative></topic>
</topics>
"""
NTCIR = """<?xml version="1.0" encoding="utf-8"?>
<queries>
<query>
<qid>0001</qid>
<content>Halloween picture</content>
<description>Halloween is coming.</description>
</query>
</queries>
"""
TSV = '1048585\twhat is paula deen\'s brother\n2\t androgen receptor define \n3\tété: a "b"\n'
JSON_LINES = '{"qid": "q1", "title": "how do bees dance?"}\n{"id": "2", "title": "été"}\n'
VECTORS = '{"qid": "1", "vector": [0.25, -1.5, 3]}\n{"qid": "2", "vector": [1e-3, 0, 7]}\n'


@pytest.mark.parametrize(
    ("reader", "text", "field"),
    [
        ("Trec", TREC, "title"),
        ("Trec", CORE18, "title"),
        ("Trec", FIRE, "title"),
        ("Microblog", MICROBLOG, "title"),
        ("Webxml", WEB, "title"),
        ("Covid", COVID, "query"),
        ("Ntcir", NTCIR, "title"),
        ("TsvInt", TSV, "title"),
        ("TsvString", TSV.replace("2\t", "q-2\t"), "title"),
        ("JsonString", JSON_LINES, "title"),
        ("JsonIntVector", VECTORS, "vector"),
        ("JsonStringVector", VECTORS, "vector"),
    ],
)
def test_topics_are_those_of_anserini(pyserini: Pyserini, reader: str, text: str, field: str, tmp_path: Path) -> None:
    path = tmp_path / "topics.txt"
    path.write_text(text, encoding="utf-8")
    theirs = {number: fields[field] for number, fields in pyserini("topics", reader=reader, file=path).items()}
    assert theirs
    ours = topics_of(str(path))
    if field == "vector":
        vectors = {number: query.pooled for number, query in ours.items() if isinstance(query, EncodedQuery)}
        assert {number: json.loads(vector) for number, vector in theirs.items()} == {
            number: pytest.approx(vector) for number, vector in vectors.items()
        }
    else:
        assert ours == theirs


def test_a_colon_in_a_title_is_no_end_of_a_label(pyserini: Pyserini, tmp_path: Path) -> None:
    """Anserini drops all before a title's first colon; we drop only TREC's own label."""
    path = tmp_path / "topics.txt"
    path.write_text(CORE18.replace("Women in Parliaments", "Parliaments: women in them"), encoding="utf-8")
    assert pyserini("topics", reader="Trec", file=path)["321"]["title"] == "women in them"
    assert topics_of(str(path)) == {"321": "Parliaments: women in them"}


@pytest.mark.usefixtures("pyserini")
def test_names_that_pyserini_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pyserini downloads them, but for those that it has, here in a home of this test's own."""
    cache = tmp_path / ".cache" / "pyserini" / "topics-and-qrels"
    cache.mkdir(parents=True)
    (cache / "topics.dl19-passage.txt").write_text("19335\tanthropological definition of environment\n")
    (cache / "qrels.dl20-passage.txt").write_text("23849 0 1020327 2\n")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Duser.home={tmp_path}")
    assert topics_of("dl19-passage") == {"19335": "anthropological definition of environment"}
    assert qrels_of("dl20-passage") == {"23849": {"1020327": 2}}
    with pytest.raises(InputError, match="no-such-topics: neither a file nor topics that ir_datasets or Pyserini"):
        topics_of("no-such-topics")
