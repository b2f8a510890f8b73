"""The options by which every command is told its cluster, taken the same way by all of them.

None of them takes a secret itself: what is on a command line, every user of the machine may read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from opensearch_multivector.errors import ClusterError, InputError, MissingDependencyError, NodeError, OsmvError

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch, OpenSearch

# Raised before anything was asked, or by the command's own end.
_NOT_OF_THE_CLUSTER = (typer.Exit, typer.Abort, typer.BadParameter, InputError, MissingDependencyError, NodeError)


def _option(name: str, variable: str, text: str) -> Any:
    return typer.Option(name, envvar=variable, help=text, rich_help_panel="Cluster", show_default=False)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster a command talks to, as its options and the environment say; `connect` makes the client."""

    url: Annotated[
        str | None,
        _option(
            "--url", "OSMV_URL", "The cluster, or several of its nodes by commas. Default: that of `osmv node start`."
        ),
    ]
    user: Annotated[str | None, _option("--user", "OSMV_USER", "User of basic auth.")]
    password_file: Annotated[
        str | None,
        _option("--password-file", "OSMV_PASSWORD_FILE", "File with the password of basic auth (or: OSMV_PASSWORD)."),
    ]
    token_file: Annotated[
        str | None, _option("--token-file", "OSMV_TOKEN_FILE", "File with a bearer token (or: OSMV_TOKEN).")
    ]
    ca_certs: Annotated[
        str | None, _option("--ca-certs", "OSMV_CA_CERTS", "PEM file or folder of authorities to trust.")
    ]
    verify_certs: Annotated[
        bool | None,
        _option("--verify-certs/--no-verify-certs", "OSMV_VERIFY_CERTS", "Check the TLS certificate (the default)."),
    ]
    aws_region: Annotated[
        str | None, _option("--aws-region", "OSMV_AWS_REGION", "Sign requests with SigV4 for this AWS region.")
    ]
    aws_service: Annotated[
        str | None, _option("--aws-service", "OSMV_AWS_SERVICE", "es (the default), or aoss for serverless.")
    ]

    def connect(self, **options: Any) -> OpenSearch:
        """`plugin.connection.connect` with these options."""
        from opensearch_multivector.plugin.connection import connect

        return connect(**self._given(), **options)

    def connect_async(self, **options: Any) -> AsyncOpenSearch:
        """`plugin.connection.connect_async` with these options."""
        from opensearch_multivector.plugin.connection import connect_async

        return connect_async(**self._given(), **options)

    def misfit(self, error: Exception) -> str | None:
        """What explains that error better than itself: the engine that answers is another, or too old an OpenSearch."""
        from opensearchpy import exceptions

        from opensearch_multivector.plugin.identity import misfit

        if isinstance(error, _NOT_OF_THE_CLUSTER) or isinstance(error.__cause__, exceptions.ConnectionError):
            return None
        try:
            return misfit(self.connect(timeout=5))
        except OsmvError:
            return None

    def _given(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def with_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--url`` and its companions: its parameter ``cluster: Cluster`` is made of them.

    opensearch-py's exceptions inside the command become ClusterError, one sentence each.
    """
    hints = get_type_hints(Cluster, include_extras=True)
    names = [field.name for field in fields(Cluster)]
    own = inspect.signature(command, eval_str=True).parameters

    @wraps(command)
    def wrapper(**values: Any) -> None:
        from opensearch_multivector.plugin.cluster_errors import cluster_errors

        cluster = Cluster(**{name: values.pop(name) for name in names})
        try:
            with cluster_errors():
                command(cluster=cluster, **values)
        except Exception as error:
            if told := cluster.misfit(error):
                raise ClusterError(told) from error
            raise

    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hints[name]) for name in names
    ]
    kept = [own[name].replace(kind=inspect.Parameter.KEYWORD_ONLY) for name in own if name != "cluster"]
    wrapper.__signature__ = inspect.Signature([*kept, *options])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {each.name: each.annotation for each in (*kept, *options)}
    del wrapper.__wrapped__
    return wrapper
