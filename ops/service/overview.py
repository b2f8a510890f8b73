"""What `osmv serve` tells of indices, fields, canaries and the cluster: the answers of `catalogue.py`."""

from __future__ import annotations

from typing import Literal

from opensearch_multivector.ops.service.schema import Told


class IndexInfo(Told):
    """An index or alias that this caller may search, and its multi-vector fields."""

    name: str
    alias: bool
    fields: list[str]


class IndicesAnswer(Told):
    """By name."""

    indices: list[IndexInfo]


class FieldInfo(Told):
    """A multi-vector field, and how far it is filled.

    ``target``: where its vectors are: the index, or its sidecar. ``images``: whether its encoder takes images as parts
    of queries; null: not known, since it was not loaded yet. ``first_stages``, ``reranks``: those that the index has
    what they need for. Counts are null for who is bound to a tenant, and ``stale`` where nobody looked;
    ``coverage`` is a share of 1. ``mode``: how it was attached, null where the index was made with it.
    """

    index: str
    field: str
    target: str
    encoder: str | None
    term_encoder: str | None
    dim: int
    codec: str
    reduce: str
    text_fields: list[str]
    sub_fields: list[str]
    first_stages: list[str]
    reranks: list[str]
    images: bool | None
    mode: str | None
    documents: int | None
    covered: int | None
    missing: int | None
    stale: int | None
    coverage: float | None


class FieldsAnswer(Told):
    """By index and name."""

    fields: list[FieldInfo]


class AttachmentInfo(Told):
    """An attached field's state, as `osmv status` has it; ``error``: why it could not be read."""

    index: str
    field: str
    mode: str
    target: str
    paused: bool
    complete: bool
    documents: int
    covered: int
    missing: int
    stale: int | None
    failed: int
    orphaned: int
    pending: int
    workers: list[str]
    letters: list[str]


class StatusAnswer(Told):
    """The service and the attachments. ``breakers``: by index, "closed" where reranks are tried as always."""

    version: str
    uptime_seconds: float
    under_way: int
    waiting: int
    capacity: int
    queue: int
    refused: int
    breakers: dict[str, str]
    attachments: list[AttachmentInfo]
    errors: list[str]


class CanaryOutcome(Told):
    """One way to search as last checked against exact MaxSim; see `ops.canary.results.Outcome`.

    Shares are of 1; null: not known. ``alarms``: why it fails, a sentence each. ``worst``: ids of the canary's queries.
    """

    first_stage: str
    rerank: str
    recall: float
    overlap: float
    rbo: float | None
    recall_oldest: float | None
    recall_newest: float | None
    baseline_recall: float | None
    baseline_overlap: float | None
    alarms: list[str]
    worst: list[str]


class CanaryPoint(Told):
    """An earlier check: ``recall`` by way ("dense/native"). ``at`` is ISO 8601."""

    at: str
    documents: int
    segments: int | None
    recall: dict[str, float]


class CanaryInfo(Told):
    """A set of queries whose exact answers are known, as last checked; ``checked_at`` is ISO 8601, null: never.

    ``share``: of the documents that were scored for the exact answers, 1: all. ``outdated``: share of the documents
    written since. ``alarms``: of the check and of its outcomes. ``history``: oldest first.
    """

    name: str
    index: str
    field: str
    k: int
    queries: int
    documents: int
    share: float
    outdated: float
    checked_at: str | None
    segments: int | None
    alarms: list[str]
    outcomes: list[CanaryOutcome]
    history: list[CanaryPoint]


class CanariesAnswer(Told):
    """By name."""

    canaries: list[CanaryInfo]


class CheckInfo(Told):
    """One finding of the capability probe, as `osmv doctor` has it; ``enables``: what it is for, ``remedy``: to do."""

    name: str
    state: Literal["ok", "missing", "warning", "unknown", "absent"]
    found: str
    enables: str
    remedy: str


class ProbeAnswer(Told):
    """What the cluster can do; ``ready``: nothing needed is missing."""

    ready: bool
    checks: list[CheckInfo]


class ParetoPoint(Told):
    """One way to search, as measured by `osmv reproduce`: quality against time and bytes.

    ``front``: no other point of the same collection and measure is at least as good and faster, or better and as fast.
    """

    name: str
    collection: str
    measure: str
    value: float
    latency_ms: float
    index_bytes: int | None
    front: bool


class ParetoAnswer(Told):
    """Empty where no figures were given to the service."""

    points: list[ParetoPoint]
