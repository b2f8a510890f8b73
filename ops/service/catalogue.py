"""What there is to search, and how it does: read with the synchronous client, each thing once for all who look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError, InputError, MismatchError, OsmvError
from opensearch_multivector.indexing.backfill import Status, status_of
from opensearch_multivector.ops.canary import get_results, names
from opensearch_multivector.ops.canary.results import Check, Point
from opensearch_multivector.ops.metrics.readings import Watched, watched
from opensearch_multivector.ops.service import overview
from opensearch_multivector.ops.service.auth import Caller
from opensearch_multivector.ops.service.encoders import Encoders
from opensearch_multivector.plugin.carried import carried
from opensearch_multivector.plugin.cluster_errors import cluster_errors, is_forbidden, is_gone
from opensearch_multivector.plugin.diagnosis import diagnose
from opensearch_multivector.plugin.engine import has_native
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.inspection import inspect_index
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.probe import probe
from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.rerankers import RERANKERS

Value = TypeVar("Value")
# Seconds for which an answer serves others, too.
_FRESH = 5.0
_THREADS = 2


class Kept:
    """What is read at most once in some seconds, and by one at a time, however many ask. Of one event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="osmv-catalogue")
        self._tasks: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    async def get(self, key: Hashable, read: Callable[[], Value]) -> Value:
        """What ``read`` gives, in a thread; an error is not kept."""
        now = time.monotonic()
        self._tasks = {
            each: (at, task) for each, (at, task) in self._tasks.items() if not task.done() or now - at < _FRESH
        }
        known = self._tasks.get(key)
        task = known[1] if known else asyncio.get_running_loop().run_in_executor(self._pool, read)
        self._tasks[key] = known or (now, task)
        try:
            # Whoever stops waiting leaves it to the others.
            return cast("Value", await asyncio.shield(task))
        except OsmvError:
            self._tasks.pop(key, None)
            raise

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Catalogue:
    """For each caller what is theirs to see of the ``served`` indices.

    ``figures``: the folder of `osmv reproduce`, where there is one.
    """

    def __init__(self, client: OpenSearch, encoders: Encoders, served: tuple[str, ...], figures: Path | None) -> None:
        self._client = client
        self._served = served
        self._encoders = encoders
        self._figures = figures
        self._kept = Kept()

    def close(self) -> None:
        """Begin nothing more."""
        self._kept.close()

    async def indices(self, caller: Caller) -> overview.IndicesAnswer:
        """Indices and aliases that the caller may search. Raises ClusterError."""
        found, aliases = await self._kept.get("indices", self._read_indices)
        named: dict[str, tuple[bool, set[str]]] = {}
        for each in found:
            named.setdefault(each.index, (False, set()))[1].add(each.field)
            for alias in aliases.get(each.index, ()):
                named.setdefault(alias, (True, set()))[1].add(each.field)
        return overview.IndicesAnswer(
            indices=[
                overview.IndexInfo(name=name, alias=alias, fields=sorted(held))
                for name, (alias, held) in sorted(named.items())
                if caller.may_search(name)
            ]
        )

    async def fields(self, caller: Caller, index: str | None) -> overview.FieldsAnswer:
        """The fields of one index or alias, or of all that the caller may search. Raises OsmvError, RefusalError."""
        if index is not None:
            caller.check_index(index)
        found, aliases = await self._kept.get("indices", self._read_indices)
        seen = [
            (name, each)
            for each in found
            for name in (each.index, *aliases.get(each.index, ()))
            if caller.may_search(name) and index in (None, name)
        ]
        native = await self._kept.get("native", lambda: has_native(self._client))
        told: dict[tuple[str, str], overview.FieldInfo] = {}
        for name, each in seen:
            key = ("field", each.index, each.field, caller.operator)
            read = partial(self._read_there, each, caller.operator, native)
            info = await self._kept.get(key, read)
            if info is not None:
                stages = [*info.first_stages, "query"] if caller.filters else info.first_stages
                info = info.model_copy(update={"index": name, "first_stages": stages})
                # Behind an alias of several indices they are one field, of all their documents.
                known = told.get((name, info.field))
                told[name, info.field] = info if known is None else _together(known, info)
        return overview.FieldsAnswer(fields=[told[key] for key in sorted(told)])

    async def attachments(self) -> tuple[list[overview.AttachmentInfo], list[str]]:
        """All attached fields, and what could not be read of them."""
        return await self._kept.get("attachments", self._read_attachments)

    async def canaries(self) -> overview.CanariesAnswer:
        """Raises OsmvError."""
        return await self._kept.get("canaries", self._read_canaries)

    async def probe(self) -> overview.ProbeAnswer:
        """Raises ClusterError."""
        return await self._kept.get("probe", self._read_probe)

    async def pareto(self) -> overview.ParetoAnswer:
        """Raises InputError where the figures can't be read."""
        return await self._kept.get("pareto", self._read_pareto)

    async def load_encoders(self) -> None:
        """Load those of all fields that are served. Raises OsmvError."""
        await self._kept.get("encoders", self._load_encoders)

    def _load_encoders(self) -> None:
        for each in watched(self._client, self._served):
            try:
                encoder = self._encoders.of(read_spec(self._client, each.target, each.field).vectors)
            except MismatchError:  # it has gone, or is of a later release, which its searches say
                continue
            except ClusterError as error:
                if is_gone(error):  # deleted without being detached
                    continue
                raise
            if encoder is not None:
                encoder.load()

    def _read_indices(self) -> tuple[list[Watched], dict[str, list[str]]]:
        found = self._watched()
        try:
            aliases = self._read_aliases("*")
        except ClusterError as error:
            if not is_forbidden(error):
                raise
            aliases = self._read_aliases(",".join(self._served))
        return found, aliases

    def _watched(self) -> list[Watched]:
        """All fields, since aliases that are served may name any index; else those of the indices that are served."""
        try:
            return watched(self._client)
        except InputError:  # too many
            pass
        except ClusterError as error:
            if not is_forbidden(error):
                raise
        return watched(self._client, self._served)

    def _read_aliases(self, indices: str) -> dict[str, list[str]]:
        """Of each index that has any."""
        with cluster_errors():
            answer = self._client.indices.get_alias(index=indices, params={"filter_path": "*.aliases"})
        return {index: sorted(body["aliases"]) for index, body in answer.items() if body.get("aliases")}

    def _read_there(self, each: Watched, counted: bool, native: bool) -> overview.FieldInfo | None:
        """None where its index was deleted, since it was found or without being detached before."""
        try:
            return self._read_field(each, counted, native)
        except ClusterError as error:
            if is_gone(error):
                return None
            raise

    def _read_field(self, each: Watched, counted: bool, native: bool) -> overview.FieldInfo | None:
        """None where it has gone since it was found."""
        spec = read_spec(self._client, each.target, each.field)
        documents: int | None = None
        covered = missing = stale = None
        if counted and each.attachment is not None:
            status = status_of(self._client, each.index, each.field, refresh=False)
            documents, covered, missing, stale = status.documents, status.covered, status.missing, status.stale
        elif counted:
            state = next((one for one in inspect_index(self._client, each.index) if one.spec.field == each.field), None)
            if state is None:
                return None
            documents, missing = state.documents, state.without_vectors
            covered = documents - missing
        encoder = self._encoders.of(spec.vectors)
        # Scripts are not run for callers, and the native plugin is not everywhere.
        absent = {"painless"} if native else {"painless", "native"}
        return overview.FieldInfo(
            index=each.index,
            field=each.field,
            target=each.target,
            encoder=spec.vectors.name if spec.vectors else None,
            term_encoder=spec.terms.name if spec.terms else None,
            dim=spec.dim,
            codec=spec.codec,
            reduce=spec.reduce,
            text_fields=list(spec.text_fields),
            sub_fields=[sub_field.name for sub_field in spec.sub_fields],
            first_stages=[name for name in _fitting(FIRST_STAGES, spec) if name != "query"],
            reranks=[name for name in _fitting(RERANKERS, spec) if name not in absent],
            images=encoder.takes_images if encoder else False,
            mode=each.mode if each.attachment else None,
            documents=documents,
            covered=covered,
            missing=missing,
            stale=stale,
            coverage=_share(covered, documents),
        )

    def _read_attachments(self) -> tuple[list[overview.AttachmentInfo], list[str]]:
        infos, errors = [], []
        for each in self._watched():
            if each.attachment is None:
                continue
            try:
                infos.append(_attachment_told(status_of(self._client, each.index, each.field, refresh=False)))
            except OsmvError as error:
                errors.append(f"{each.index}/{each.field}: {error}")
        return infos, errors

    def _read_canaries(self) -> overview.CanariesAnswer:
        found = ((name, get_results(self._client, name)) for name in names(self._client))
        return overview.CanariesAnswer(
            canaries=[_canary_told(result.last, result.history) for _, result in found if result.last is not None]
        )

    def _read_probe(self) -> overview.ProbeAnswer:
        checks = diagnose(probe(self._client), carried())
        return overview.ProbeAnswer(
            ready=not any(check.state == "missing" for check in checks),
            checks=[overview.CheckInfo(**asdict(check)) for check in checks],
        )

    def _read_pareto(self) -> overview.ParetoAnswer:
        if self._figures is None:
            return overview.ParetoAnswer(points=[])
        from opensearch_multivector.evaluation.reproduce.outcomes import Results

        points = []
        for stored in Results(self._figures).all():
            outcome, told = stored.outcome, stored.outcome.as_json()
            if told["latency_ms"] is None:
                continue
            points += [
                overview.ParetoPoint(
                    name=outcome.name,
                    collection=f"{outcome.matrix}/{outcome.row.get('collection', '')}",
                    measure=figure.measure,
                    value=figure.ours,
                    latency_ms=told["latency_ms"]["p50"],
                    index_bytes=told["index_bytes"],
                    front=False,
                )
                for figure in outcome.figures
            ]
        return overview.ParetoAnswer(points=with_front(points))


def with_front(points: Iterable[overview.ParetoPoint]) -> list[overview.ParetoPoint]:
    """The points, with those marked that none is better than in one of quality and time without being worse in both."""
    points = list(points)

    def beats(one: overview.ParetoPoint, other: overview.ParetoPoint) -> bool:
        same = (one.collection, one.measure) == (other.collection, other.measure)
        as_good = one.value >= other.value and one.latency_ms <= other.latency_ms
        return same and as_good and (one.value > other.value or one.latency_ms < other.latency_ms)

    return [point.model_copy(update={"front": not any(beats(one, point) for one in points)}) for point in points]


def _share(covered: int | None, documents: int | None) -> float | None:
    return None if covered is None or documents is None else min(1.0, covered / max(1, documents))


def _together(one: overview.FieldInfo, other: overview.FieldInfo) -> overview.FieldInfo:
    """A field of two indices behind one alias, their counts added up."""
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in ("documents", "covered", "missing", "stale")}
    sums = {name: None if None in pair else sum(pair) for name, pair in pairs.items()}
    return one.model_copy(update={"target": one.index, "coverage": _share(sums["covered"], sums["documents"]), **sums})


def _fitting(table: dict[str, Any], spec: FieldSpec) -> list[str]:
    """The names of those stages or reranks that the index has what they need for."""
    names = []
    for name, kind in table.items():
        try:
            kind().check(spec)
        except OsmvError:
            continue
        names.append(name)
    return names


def _attachment_told(status: Status) -> overview.AttachmentInfo:
    known = overview.AttachmentInfo.model_fields
    values = {each.name: getattr(status, each.name) for each in fields(status) if each.name in known}
    letters = [f"{letter.doc_id}: {letter.reason}" for letter in status.letters[:20]]
    return overview.AttachmentInfo(
        **values | {"workers": list(status.workers), "letters": letters, "complete": status.complete}
    )


def _canary_told(check: Check, history: Iterable[Point]) -> overview.CanaryInfo:
    return overview.CanaryInfo(
        name=check.canary,
        index=check.index,
        field=check.field,
        k=check.k,
        queries=check.queries,
        documents=check.documents,
        share=check.share,
        outdated=check.outdated,
        checked_at=_iso(check.at),
        segments=check.segments,
        alarms=list(check.alarms),
        outcomes=[overview.CanaryOutcome(**asdict(outcome)) for outcome in check.outcomes],
        history=[
            overview.CanaryPoint(
                at=_iso(point.at),
                documents=point.documents,
                segments=point.segments,
                recall={way: recalls[0] for way, recalls in point.recall.items()},
            )
            for point in history
        ],
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
