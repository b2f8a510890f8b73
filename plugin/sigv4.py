"""Requests signed for AWS (Signature Version 4): by opensearch-py's signer, with credentials of botocore's chain."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from opensearchpy.helpers.signer import AWSV4Signer

from opensearch_multivector.errors import ClusterError, InputError, MissingDependencyError

SERVICES = ("es", "aoss")


class Signer:
    """Signs each request, as the sync and the async client both call it: with whatever credentials hold by then.

    Temporary credentials (a role, a session) are renewed by botocore where it can do that by itself.
    """

    def __init__(self, credentials: Any, region: str, service: str) -> None:
        self._signer = AWSV4Signer(credentials, region, service)

    def __call__(self, method: str, url: str, body: Any, headers: dict[str, str] | None = None) -> dict[str, str]:
        """The headers to send. Raises ClusterError where the credentials have ended and can't be renewed."""
        from botocore.exceptions import BotoCoreError

        try:
            return dict(self._signer.sign(method, url, body, headers))
        except BotoCoreError as error:
            raise ClusterError(f"the AWS credentials could not be renewed: {error}") from error


def signer(region: str | None, service: str | None) -> Signer | None:
    """What signs for that region, else for ``OSMV_AWS_REGION``; None where neither is given.

    Raises InputError on a region or service that is none, ClusterError where there are no credentials.
    """
    region = region or os.environ.get("OSMV_AWS_REGION")
    if not region:
        return None
    service = service or os.environ.get("OSMV_AWS_SERVICE") or SERVICES[0]
    if service not in SERVICES:
        raise InputError(f"{service!r} is no service that OpenSearch runs in: choose es, or aoss for serverless.")
    if not re.fullmatch(r"[a-z0-9-]+", region):
        raise InputError(f"{region!r} is not the name of an AWS region: give one like eu-central-1.")
    try:
        import botocore.session
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise MissingDependencyError(
            'signing requests for AWS needs botocore: pip install "opensearch-multivector[aws]".'
        ) from error
    try:
        credentials = botocore.session.Session().get_credentials()
    except BotoCoreError as error:
        raise ClusterError(f"the AWS credentials can't be read: {error}") from error
    if credentials is None:
        raise ClusterError(
            "OSMV_AWS_REGION (or --aws-region) asks for signed requests, but no AWS credentials were found: "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, as for any AWS tool."
        )
    # What it logs of each signature holds the session's token.
    logging.getLogger("botocore.auth").setLevel(logging.INFO)
    return Signer(credentials, region, service)


def signing_connection(sign: Signer) -> type:
    """The async client's connection that signs each request; needs the extra ``async``.

    opensearch-py's own (AsyncHttpConnection) leaves the cluster's errors unread: no reason, no kind.
    """
    from opensearchpy import AIOHttpConnection

    class SigningConnection(AIOHttpConnection):  # type: ignore[misc]
        async def perform_request(
            self,
            method: str,
            url: str,
            params: Mapping[str, Any] | None = None,
            body: Any = None,
            timeout: float | None = None,
            ignore: Collection[int] = (),
            headers: Mapping[str, str] | None = None,
        ) -> Any:
            query = f"?{urlencode(params)}" if params else ""
            signed = sign(method, f"{self.host}{self.url_prefix}{url}{query}", body)
            return await super().perform_request(
                method, url, params, body, timeout, ignore, {**(headers or {}), **signed}
            )

    return SigningConnection
