"""What opensearch-py raises, as one sentence each that says what is wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opensearchpy import exceptions

from opensearch_multivector.errors import ClusterError, InputError, OsmvError


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn opensearch-py's exceptions into ClusterError, in a ``with`` or as a decorator; good around awaits too.

    What can't be sent at all, since it is no text, is an InputError.
    """
    try:
        yield
    except (exceptions.OpenSearchException, exceptions.ImproperlyConfigured) as error:
        raise ClusterError(describe(error)) from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"{str(error.object)[:80]!r} is no Unicode text (half a surrogate pair, or bytes that are no UTF-8), so it "
            "can't be sent"
        ) from None


def is_gone(error: Exception) -> bool:
    """Whether it says that the index it was asked of is not there."""
    refused = error.__cause__ if isinstance(error, ClusterError) else error
    return isinstance(refused, exceptions.NotFoundError) and _kind(refused) == "index_not_found_exception"


def is_forbidden(error: ClusterError) -> bool:
    """Whether it says that the user may not do what was asked."""
    return isinstance(error.__cause__, exceptions.AuthorizationException)


def describe(error: Exception) -> str:
    """One sentence for an exception of opensearch-py."""
    if isinstance(error, exceptions.ConnectionError):
        return _describe_connection(error)
    if isinstance(error, exceptions.SerializationError):
        if error.args and not isinstance(error.args[0], str):  # one of ours on its way out, not an answer
            return f"the request can't be written as JSON: {error.args[-1]}."
        return "the answer is not OpenSearch's JSON: is the address a proxy's or a log-in page's? Check the URL."
    if isinstance(error, exceptions.TransportError):
        return _describe_refusal(error)
    return str(error)


def _describe_connection(error: exceptions.ConnectionError) -> str:
    cause, text = error.info, f"{error.error} {error.info!r}"
    if isinstance(cause, OsmvError):  # of our own part in a request, such as signing it
        return str(cause)
    where = _address(cause)
    if isinstance(error, exceptions.ConnectionTimeout):
        return f"the cluster{where} did not answer in time: it may be overloaded; retry, or give a longer time-out."
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return f"the cluster{where} does not speak TLS: use http:// in the URL."
    if "hostname mismatch" in text.lower() or "certificate is not valid for" in text:
        return f"the TLS certificate of the cluster{where} is for another host name: use the name it was issued for."
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            f"the TLS certificate of the cluster{where} can't be verified: give its authority's certificate with "
            "--ca-certs (OSMV_CA_CERTS), or --no-verify-certs (OSMV_VERIFY_CERTS=false) where that is safe."
        )
    if isinstance(error, exceptions.SSLError) or "SSL" in type(cause).__name__:
        return f"TLS with the cluster{where} failed: {_last_words(error)}."
    if any(sign in text for sign in ("BadStatusLine", "Disconnected", "BadHttpMessage", "reset by peer")):
        return f"the cluster{where} broke off the connection: if it speaks TLS, use https:// in the URL."
    if any(sign in text for sign in ("NameResolution", "getaddrinfo", "Name or service", "DNS")):
        return f"the host name of the cluster{where} can't be resolved: check the URL."
    if "timed out" in text:
        return f"the cluster{where} does not answer: check the URL, and that a firewall lets you through."
    if "refused" in text or "Connect call failed" in text:
        return f"nothing answers{where}: start the cluster (`osmv node start` for a local one) or check the URL."
    return f"the cluster{where} can't be reached: {_last_words(error)}."


def _address(cause: Any) -> str:
    """`` at host:port`` where the exception below knows it (aiohttp's itself, urllib3's by its pool), else nothing."""
    known = getattr(cause, "__dict__", {})
    for holder in (cause, known.get("conn"), known.get("pool")):
        host, port = getattr(holder, "host", None), getattr(holder, "port", None)
        if host:
            return f" at {host}:{port}"
    return ""


def _last_words(error: exceptions.ConnectionError) -> str:
    return str(error.error).rstrip(". ") or type(error.info).__name__


# What AWS answers before OpenSearch sees a request, and what to do.
_AWS = (
    (
        r"security token included in the request is expired",
        "the AWS session has ended: get new credentials, as for any AWS tool",
    ),
    (
        r"Signature expired|Signature not yet current",
        "AWS finds the signature too old or too new: set this machine's clock",
    ),
    (
        r"signature we calculated does not match|should be scoped to|security token included in the request is invalid",
        "AWS refuses the signature: check the credentials, --aws-region and --aws-service",
    ),
    (r"User: anonymous is not authorized", "AWS wants signed requests: give --aws-region (OSMV_AWS_REGION)"),
    (r"is not authorized to perform", "the AWS identity lacks a permission: ask for a policy that has it"),
)

# What a 400 says where a part of OpenSearch is missing, and what to do.
_MISSING_PARTS = (
    (r"No handler for type \[knn_vector\]|unknown setting \[index\.knn|unknown query \[knn\]", "the k-NN plugin"),
    (
        r"unknown setting \[index\.sparse|No handler for type \[sparse_vector\]",
        "sparse_vector (OpenSearch 3.3 or newer with the neural-search plugin)",
    ),
    (r"unknown query \[(neural_sparse|hybrid)\]", "the neural-search plugin"),
    (
        r"[Uu]nknown call \[lateInteractionScore\]",
        "lateInteractionScore (OpenSearch 3.3 or newer with the k-NN plugin)",
    ),
    (r"unknown (query|field) \[maxsim\]|No handler for type \[token_vectors\]", "the native plugin (`osmv plugin`)"),
    (r"No handler for type \[rank_features\]|unknown query \[rank_feature\]", "the mapper-extras module"),
)


def _describe_refusal(error: exceptions.TransportError) -> str:
    status, kind, reason = error.status_code, _kind(error), _reason(error)
    if aws := _describe_aws(error.info):
        return aws
    if status == 401:
        return (
            "the cluster wants a valid user and password, or a token: set OSMV_USER and OSMV_PASSWORD (or give --user "
            "and --password-file), or OSMV_TOKEN (or --token-file)."
        )
    if kind == "cluster_block_exception":
        return f"{_describe_block(reason)}: {reason}."
    if status == 403:
        permission = re.search(r"no permissions for \[((?:[^\[\]]|\[\w*\])+)\]", reason)
        return (
            f"the user lacks the permission {permission[1]}: ask the cluster's administrator for a role that has it."
            if permission
            else f"the cluster forbids this to the user{f': {reason}' if reason else ', whose roles do not allow it'}."
        )
    if kind == "index_not_found_exception":
        index = re.search(r"no such index \[([^\]]*)\]", reason)
        return f"there is no index {index[1] if index else ''!r}: check the name, or make it with `osmv index`."
    for pattern, part in _MISSING_PARTS:
        if re.search(pattern, reason):
            return f"the cluster lacks {part}: install it on every node; `osmv doctor` shows what is there."
    if "too_many_clauses" in kind or "maxClauseCount" in reason:
        return f"the query has more clauses than indices.query.bool.max_clause_count allows: {reason}."
    if "hybrid query must be a top level query" in reason:
        return (
            "OpenSearch fuses nothing for a user whose role shows only some documents (document-level security): "
            'let the client fuse, by fusion="client" (--fusion client) or "auto".'
        )
    if "Fielddata access on the _id field" in reason:
        return (
            "the cluster orders nothing by id, since its setting indices.id_field_data.enabled is false: set it to "
            'true, or search without ties="docid".'
        )
    if status == 413:
        return "the request is larger than http.max_content_length: send fewer or smaller documents at once."
    if status == 429:
        return f"the cluster is too busy or short of memory: retry later, or send less at once ({reason or kind})."
    if re.match(r"\s*<(!doctype|html)", str(error.error), re.IGNORECASE):
        return (
            f"a proxy or another web server answered with status {status} and a page for people: check the URL, and "
            "that the cluster behind it is up."
        )
    named = f"{kind}: " if kind else ""
    return f"the cluster refused the request with status {status}: {named}{reason or error.error}."


def _describe_aws(info: Any) -> str | None:
    message = str((info.get("message") or info.get("Message") or "") if isinstance(info, dict) else "")
    told = next((told for pattern, told in _AWS if re.search(pattern, message)), None)
    # Its first sentence alone: what follows may repeat the request, the session's token with it.
    first = re.split(r"[.]\s|\n|[.]?$", message.strip(), maxsplit=1)[0]
    return told and f"{told} ({first})."


# What a block's reason says, and what it means; the first is the only one that OpenSearch sets by itself.
_BLOCKS = (
    (r"allow.delete", "the index is blocked for writing, most often because the disk is full"),
    (r"index (write|read-only) ", "the index is blocked for writing by one of its settings (index.blocks.*)"),
    (r"index read ", "the index is blocked for reading by one of its settings (index.blocks.read)"),
    (r"index metadata ", "the index's metadata is blocked by one of its settings (index.blocks.metadata)"),
    (r"", "the cluster is not ready for this"),
)


def _describe_block(reason: str) -> str:
    return next(words for pattern, words in _BLOCKS if re.search(pattern, reason))


def _kind(error: exceptions.TransportError) -> str:
    return str(error.error)


def _reason(error: exceptions.TransportError) -> str:
    """The most telling reason: the root cause's, with the innermost ``caused_by`` where that says more."""
    found = error.info.get("error") if isinstance(error.info, dict) else error.info
    if not isinstance(found, dict):
        return str(found or "").strip().rstrip(".")
    causes = found.get("root_cause") or [found]
    failed = found.get("failed_shards") or [{}]
    words: list[str] = []
    for cause in (causes[0], failed[0].get("reason"), found):
        while isinstance(cause, dict):
            reason = str(cause.get("reason") or "").strip().rstrip(".")
            if reason and not any(reason in word for word in words):
                words.append(reason)
            cause = cause.get("caused_by")
    return "; ".join(words[:3])
