"""What `osmv attach` prints: the plan of each mode, and what became of a swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opensearch_multivector.cli.long_work import say
from opensearch_multivector.errors import visible

if TYPE_CHECKING:
    from opensearch_multivector.indexing.attach.plan import ModePlan, Plan
    from opensearch_multivector.indexing.attach.swap import Replaced

_NAMED = 10


def show_plan(made: Plan) -> None:
    """The plan, for people."""
    print(
        f"{made.index}: {made.documents:,} documents, of about {made.document_bytes:,} bytes each; {made.with_text} of "
        f"{made.sampled} sampled ones have text, {made.truncated:.0%} of these is longer than the encoder takes"
    )
    for each in made.modes:
        print(f"\n{each.mode}: {made.field}.* into {each.target}")
        if each.why_not:
            print("".join(f"  not possible: {sentence}\n" for sentence in each.why_not), end="")
            continue
        _show_mode(made.field, each)
    print(f"\nadvised: {made.recommended or 'none'} ({made.because})")


def _show_mode(field: str, each: ModePlan) -> None:
    for name, mapping in each.properties.items():
        print(f"  maps      {field}.{name}: {mapping['type']}")
    print(f"  fills     {each.documents:,} documents, about {each.seconds:,.0f} s of encoding on this machine")
    print(f"  sends     {each.sent_bytes / 1e6:,.1f} MB in {each.requests:,} requests at least")
    print(f"  takes     about {each.disk_bytes / 1e6:,.1f} MB of disk, and as much for each replica")
    for notice in each.notices:
        print(f"  note      {notice}")


def show_replaced(replaced: Replaced) -> None:
    """What became of a swap, for people."""
    moved = f" has {', '.join(replaced.aliases)}, and" if replaced.aliases else ""
    say(
        f"{replaced.target}{moved} takes the place of {replaced.source}, which takes no more writes and is yours to "
        "delete"
    )
    if replaced.blocked_seconds:
        say(f"writes were refused for {replaced.blocked_seconds:.1f} s")
    if both := replaced.both_sides:
        more = f" and {len(both) - _NAMED:,} more" if len(both) > _NAMED else ""
        print(
            f"written on both sides of the swap, where the later write, in {replaced.target}, stands: "
            f"{', '.join(map(visible, both[:_NAMED]))}{more}"
        )
    for doc_id, reason in replaced.refused[:_NAMED]:
        print(f"refused: document {doc_id!r} of {replaced.source}: {visible(reason)}")
