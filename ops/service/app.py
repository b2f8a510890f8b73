"""The application: its routes, and what lives as long as it does."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from opensearchpy import AuthorizationException, OpenSearch
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opensearch_multivector.errors import OsmvError
from opensearch_multivector.ops.canary import Watch
from opensearch_multivector.ops.metrics.events import SearchEvents
from opensearch_multivector.ops.metrics.exporter import new_registry
from opensearch_multivector.ops.metrics.names import prometheus
from opensearch_multivector.ops.metrics.readings import parts
from opensearch_multivector.ops.metrics.searching import SearchMetrics
from opensearch_multivector.ops.metrics.tracing import SearchTraces, traces_over_http
from opensearch_multivector.ops.service import openapi, overview, schema
from opensearch_multivector.ops.service.auth import Caller, Door
from opensearch_multivector.ops.service.catalogue import Catalogue
from opensearch_multivector.ops.service.console_files import ConsoleFile, console_files
from opensearch_multivector.ops.service.errors import RefusalError, refusal_of, refusal_of_validation
from opensearch_multivector.ops.service.explanation import explain
from opensearch_multivector.ops.service.front import Front, Passage, fault_of
from opensearch_multivector.ops.service.limits import Gate, Rates, read_body
from opensearch_multivector.ops.service.metrics import ServiceMetrics
from opensearch_multivector.ops.service.searches import Bounds, Searches
from opensearch_multivector.plugin.cluster_errors import cluster_errors
from opensearch_multivector.queries.observer import Observer, Observers

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch

_LOG = logging.getLogger("osmv.service")
_READY_SECONDS = 3.0
# Searches of one request that are under way at once.
_AT_ONCE = 4

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Settings:
    """How much the service takes on, and what it shows.

    ``capacity`` searches are under way at once, ``queue`` more wait, each ``patience`` seconds at most. ``rate``: calls
    a second of one caller after the first ``burst``; 0: any number. ``body_bytes``: of the largest request.
    ``cors``: origins of pages that may call; none, by default. ``figures``: a folder of `osmv reproduce`.
    ``canaries_every``: seconds between two checks of the canaries; 0: they are left to others. ``warm``: it is ready
    once the encoders of what it serves are loaded. ``events``: the share of searches that is written to the cluster;
    ``traces``: OpenTelemetry is told of each; both with the query's text where that is ``told``.
    """

    door: Door
    indices: tuple[str, ...] = ("*",)
    bounds: Bounds = field(default_factory=Bounds)
    capacity: int = 8
    queue: int = 64
    patience: float = 10.0
    rate: float = 50.0
    burst: int = 200
    body_bytes: int = 6_000_000
    cors: tuple[str, ...] = ()
    figures: Path | None = None
    canaries_every: float = 0.0
    warm: bool = True
    events: float = 0.0
    traces: bool = False
    told: bool = False


class Service:
    """What the routes share."""

    def __init__(self, client: OpenSearch, async_client: AsyncOpenSearch, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gate(settings.capacity, settings.queue, settings.patience)
        self.rates = Rates(settings.rate, settings.burst)
        self.registry = new_registry(parts(client, settings.indices))
        self.metrics = ServiceMetrics(self.registry, self.gate)
        observers: list[Observer] = [SearchMetrics(self.registry)]
        self._closing: list[SearchEvents | SearchTraces] = []
        if settings.events:
            events = SearchEvents(client, settings.events, text=settings.told, registry=self.registry)
            self._closing.append(events)
        if settings.traces:
            self._closing.append(traces_over_http("osmv-serve", text=settings.told))
        self.searches = Searches(async_client, settings.bounds, Observers(*observers, *self._closing))
        self.catalogue = Catalogue(client, self.searches.encoders, settings.indices, settings.figures)
        self.files = console_files()
        self._client = client
        self._began = time.monotonic()
        self._ready: tuple[float, bool] = (-_READY_SECONDS, False)
        self._warm = not settings.warm
        self._scrape = asyncio.Lock()

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """While the service is up."""
        # Encoding and scoring of all searches under way; those that wait for an encoder keep no other from going on.
        threads = ThreadPoolExecutor(self.settings.capacity + 8, thread_name_prefix="osmv-service")
        asyncio.get_running_loop().set_default_executor(threads)
        stop = threading.Event()
        if self.settings.canaries_every:
            Watch(self._client, self.settings.canaries_every).start(
                stop, failed=lambda error: _LOG.warning("canaries: %s", error)
            )
        warming = asyncio.create_task(self._load_encoders())
        try:
            yield
        finally:
            stop.set()
            warming.cancel()
            self.catalogue.close()
            await self.searches.client.close()
            for observer in self._closing:
                await asyncio.to_thread(observer.close)

    async def _load_encoders(self) -> None:
        """So that nobody's first search has to wait for them; again and again until the cluster answers."""
        while not self._warm:
            try:
                await self.catalogue.load_encoders()
                self._warm = True
            except OsmvError as error:
                _LOG.warning("encoders are not loaded yet: %s", error)
                # Who may search, but not look around, loads them as they are needed.
                self._warm = refusal_of(error).code == "forbidden"
                await asyncio.sleep(_READY_SECONDS)

    async def search(self, request: Request) -> Response:
        """POST /search."""
        passage, caller = _called(request)

        async def work(asked: schema.Search) -> schema.SearchAnswer:
            return await self._in_turn(asked, caller, passage)

        return await self._worked(request, schema.Search, work)

    async def search_many(self, request: Request) -> Response:
        """POST /search/many."""
        passage, caller = _called(request)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(asked: schema.Search) -> schema.SearchAnswer | schema.FaultAnswer:
            async with turns:
                try:
                    return await self._in_turn(asked, caller, Passage(passage.request_id, caller=caller))
                except RefusalError as refusal:
                    return fault_of(refusal, passage)
                except OsmvError as error:
                    return fault_of(refusal_of(error), passage)

        async def work(asked: schema.SearchMany) -> schema.SearchManyAnswer:
            self.rates.take(self._payer(request, caller), len(asked.searches) - 1)
            return schema.SearchManyAnswer(answers=await asyncio.gather(*map(one, asked.searches)))

        return await self._worked(request, schema.SearchMany, work)

    async def explain(self, request: Request) -> Response:
        """POST /explain."""
        passage, caller = _called(request)

        async def work(asked: schema.Explain) -> schema.ExplainAnswer:
            async with self.gate.turn():
                return await explain(asked, caller, self.searches, passage.request_id)

        return await self._worked(request, schema.Explain, work)

    async def indices(self, request: Request) -> Response:
        """GET /indices."""
        return _json(await self.catalogue.indices(_called(request)[1]))

    async def fields(self, request: Request) -> Response:
        """GET /fields."""
        return _json(await self.catalogue.fields(_called(request)[1], request.query_params.get("index")))

    async def caller(self, request: Request) -> Response:
        """GET /caller."""
        _, caller = _called(request)
        return _json(
            schema.Caller(
                name=caller.name,
                needs_token=self.settings.door.needs_token,
                operator=caller.operator,
                filters=caller.filters,
                bound=caller.tenant is not None,
                indices=list(caller.indices),
                version=version("opensearch-multivector"),
            )
        )

    async def status(self, request: Request) -> Response:
        """GET /status."""
        _operator(request)
        attachments, errors = await self.catalogue.attachments()
        return _json(
            overview.StatusAnswer(
                version=version("opensearch-multivector"),
                uptime_seconds=round(time.monotonic() - self._began, 1),
                under_way=self.gate.under_way,
                waiting=self.gate.waiting,
                capacity=self.gate.capacity,
                queue=self.gate.queue,
                refused=self.gate.refused,
                breakers=self.searches.breakers,
                attachments=attachments,
                errors=errors,
            )
        )

    async def canaries(self, request: Request) -> Response:
        """GET /canaries."""
        _operator(request)
        return _json(await self.catalogue.canaries())

    async def probe(self, request: Request) -> Response:
        """GET /probe."""
        _operator(request)
        return _json(await self.catalogue.probe())

    async def pareto(self, request: Request) -> Response:
        """GET /pareto."""
        _operator(request)
        return _json(await self.catalogue.pareto())

    async def show_metrics(self, request: Request) -> Response:
        """GET /metrics."""
        _operator(request)
        library = prometheus()
        async with self._scrape:  # of several scrapers each is shown what was just read
            text = await asyncio.to_thread(library.generate_latest, self.registry)
        return Response(text, media_type=library.CONTENT_TYPE_LATEST)

    async def healthz(self, _: Request) -> Response:
        """GET /healthz: the process lives, whatever the cluster does."""
        return Response('{"status":"alive"}', media_type="application/json")

    async def readyz(self, _: Request) -> Response:
        """GET /readyz: the encoders are loaded, and the cluster answered a moment ago."""
        if not self._warm:
            raise RefusalError(503, "unavailable", "the encoders are not loaded yet")
        at, ready = self._ready
        if time.monotonic() - at >= _READY_SECONDS:
            try:
                async with asyncio.timeout(_READY_SECONDS):
                    # 403: it answers, and knows who asks.
                    with cluster_errors(), suppress(AuthorizationException):
                        await self.searches.client.info()
                ready = True
            except (OsmvError, TimeoutError):
                ready = False
            self._ready = (time.monotonic(), ready)
        if not ready:
            raise RefusalError(503, "unavailable", "the cluster does not answer")
        return Response('{"status":"ready"}', media_type="application/json")

    async def openapi(self, _: Request) -> Response:
        """GET /openapi.json."""
        content = json.dumps(openapi.document(self.settings.door.needs_token))
        return Response(content, media_type="application/json")

    async def console(self, request: Request) -> Response:
        """GET / and the console's files."""
        name = request.path_params.get("name", "")
        found: ConsoleFile | None = self.files.get(name)
        if any(one.path == f"/{name}" for one in openapi.OPERATIONS):
            raise RefusalError(405, "wrong_method", "this path has another method", headers={"Allow": "POST"})
        if found is None:
            raise RefusalError(404, "not_found", "nothing is served under this path")
        headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=headers)
        return Response(found.content, media_type=found.media_type, headers=headers)

    async def _in_turn(self, asked: schema.Search, caller: Caller, passage: Passage) -> schema.SearchAnswer:
        start = passage.timeline.now()
        async with self.gate.turn():
            passage.timeline.add("queue", start, passage.timeline.now() - start)
            return await self.searches.search(asked, caller, passage.timeline, passage.request_id)

    async def _worked(self, request: Request, kind: type[Model], work: Callable[[Model], Awaitable[Any]]) -> Response:
        """The answer to a body of this kind, as long as somebody waits for it."""
        with self.gate.admitted():
            body = await read_body(request.receive, dict(request.headers), self.settings.body_bytes)
            try:
                asked = kind.model_validate_json(body)
            except ValidationError as error:
                raise refusal_of_validation(error) from None
            return _json(await _while_there(request, work(asked)))

    def _payer(self, request: Request, caller: Caller) -> str:
        remote = request.client.host if request.client else "?"
        return caller.name if self.settings.door.needs_token else remote


def make_app(client: OpenSearch, async_client: AsyncOpenSearch, settings: Settings) -> Starlette:
    """The application over these clients; it closes the asynchronous one. Raises MissingDependencyError."""
    service = Service(client, async_client, settings)
    endpoints = {
        "/search": service.search,
        "/search/many": service.search_many,
        "/explain": service.explain,
        "/indices": service.indices,
        "/fields": service.fields,
        "/caller": service.caller,
        "/status": service.status,
        "/canaries": service.canaries,
        "/probe": service.probe,
        "/pareto": service.pareto,
        "/metrics": service.show_metrics,
        "/healthz": service.healthz,
        "/readyz": service.readyz,
        "/openapi.json": service.openapi,
    }
    routes = [Route(one.path, endpoints[one.path], methods=[one.method.upper()]) for one in openapi.OPERATIONS]
    routes += [Route(path, service.console, methods=["GET"]) for path in ("/", "/{name}")]
    middleware = [
        Middleware(
            Front,
            door=settings.door,
            rates=service.rates,
            metrics=service.metrics,
            routes={one.path: one.open for one in openapi.OPERATIONS},
            files=service.files,
        )
    ]
    if settings.cors:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
        middleware.insert(0, cors)
    refused: Any = {HTTPException: _refused}
    app = Starlette(routes=routes, middleware=middleware, lifespan=service.lifespan, exception_handlers=refused)
    app.state.service = service
    app.router.redirect_slashes = False  # to wherever the request's Host says
    return app


async def _refused(_: Request, error: Exception) -> Response:
    """What the router has no route for, as all other refusals."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "wrong_method"}
    message = "nothing is served under this path" if error.status_code == 404 else "this path has another method"
    raise RefusalError(error.status_code, codes.get(error.status_code, "bad_request"), message)


def _called(request: Request) -> tuple[Passage, Caller]:
    passage: Passage = request.scope["osmv"]
    assert passage.caller is not None, "a route that is not open has a caller"
    return passage, passage.caller


def _operator(request: Request) -> None:
    """Raise RefusalError for all but operators."""
    if not _called(request)[1].operator:
        raise RefusalError(403, "forbidden", "this is for operators alone")


async def _while_there(request: Request, work: Awaitable[Any]) -> Any:
    """What comes of the work; it ends, in OpenSearch too, when whoever asked closes the connection."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RefusalError(499, "gone", "the connection was closed")
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(answer: BaseModel) -> Response:
    try:
        content: bytes | str = answer.model_dump_json()
    except PydanticSerializationError:  # half a surrogate pair, or a source nested deeper than is usual
        content = json.dumps(answer.model_dump(mode="python"))
    return Response(content, media_type="application/json")
