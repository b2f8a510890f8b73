"""Words for hostile command lines and files: names, numbers, expressions, clauses, paths, addresses, lines."""

from __future__ import annotations

NAME = "osmv-test-hostile-config"
# Names that OpenSearch takes for several indices, for none, for a date, or for something else than an index.
INDICES = [
    "*",
    "_all",
    "a,b",
    f"{NAME}*",
    f"*,-{NAME}",
    "<a-{now/d}>",
    "..",
    ".",
    "../x",
    "/etc/passwd",
    "_search",
    "_bulk",
    "",
]
INDICES += [
    "UPPER",
    "a b",
    "a?pretty",
    "a#b",
    "%2e%2e",
    "x" * 300,
    "-x",
    "--help",
    "+x",
    "[/]",
    "[bold]",
    "\x1b[2J",
    "é",
    "a\nb",
]
INDICES += [
    NAME,
    f"{NAME}-none",
    f"{NAME}/_doc/d000",
    f"{NAME},{NAME}",
    f"remote:{NAME}",
    "\udc80",
    "{}",
    "a|b",
    "_cluster/settings",
]
NUMBERS = ["-1", "0", "1e9", "NaN", "inf", "99999999999999999999", "", "x", "1", "0x10", "１", "None"]
EXPRESSIONS = [
    "",
    ":",
    "codes:",
    "codes:nprobe",
    "codes:nprobe=1,nprobe=2",
    "codes:nprobe=NaN",
    "fde:k_sim=99999",
    "pool:factor=0",
]
EXPRESSIONS += [
    "bm25+",
    "+",
    "1*bm25",
    "-1*bm25+2*dense",
    "client>",
    "bit:keep=x>client",
    "dense:ef_search=1e3",
    "x:y=z",
    ":" * 99,
]
CLAUSES = [
    "",
    "{",
    "[]",
    "null",
    "5",
    '"x"',
    '{"match_all": {}',
    '{"a": NaN}',
    "[" * 5000,
    '{"a":' * 5000,
    '{"term": {"a": 1}, "b": 2}',
]
CLAUSES += [
    '{"match_all": {}}',
    '{"\\ud800": 1}',
    '{"script": {"script": "while(true){}"}}',
    '{"query_string": {"query": "((("}}',
]
PATHS = [
    "/etc",
    ".",
    "..",
    "/dev/null/x",
    "missing/x",
    "file",
    "folder",
    "/proc/self/mem",
    "-",
    "x" * 300,
    "a\nb",
    "\udc80",
    "",
    "~",
]
ENVIRONMENT = [
    "OSMV_URL",
    "OSMV_USER",
    "OSMV_PASSWORD",
    "OSMV_TOKEN",
    "OSMV_CA_CERTS",
    "OSMV_VERIFY_CERTS",
    "OSMV_TOKEN_FILE",
]
ENVIRONMENT += ["OSMV_PASSWORD_FILE", "OSMV_AWS_REGION"]
URLS = [
    "http://",
    "ftp://x",
    "http://[::1",
    "http://127.0.0.1:99999",
    "127.0.0.1:1",
    "http://127.0.0.1:1/%zz",
    "javascript:1",
    "http://a b",
]
URLS += [
    "http://u:p@127.0.0.1:1",
    "https://127.0.0.1:1",
    "http://\udc80",
    "http://\x1b[2J",
    "\n",
    "http://127.0.0.1:-1",
    "file:///etc/passwd",
]
LINES = [
    "",
    "\0",
    "1 Q0 a 1 2.0 t",
    "1 0 a 1",
    "a\tb",
    "1 Q0 a x y z w",
    '{"_id": "1"}',
    '{"_id": "1", "text": 5}',
    "[",
    "{" * 3000,
]
LINES += [
    '{"id": "q", "text": "\\ud800"}',
    "q1\tnan\n",
    "1 Q0 a 1 NaN t",
    "1 Q0 a 1 1e999 t",
    "1 0 a -99999999999999999999",
    "\ufeff1 0 a 1",
]
MATRICES = [
    "",
    "- a",
    "a: &a [*a]",
    "rows: 5",
    "name: x\nrows: [{}]",
    "!!python/object/apply:os.system ['touch owned']",
    "a: [",
    "\t",
    "? x",
]
MATRICES += [
    "name: x\ndata: ../..\nrows:\n  - name: ../../owned\n    index: ../x\n",
    "name: [x]",
    "rows: {a: {b: {c: d}}}",
    "\x1b",
    "a: " + "[" * 2000,
]
