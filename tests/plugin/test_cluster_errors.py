"""Sentences for refusals that the test node can't give, from the answers of clusters that do."""

from __future__ import annotations

import pytest
from opensearchpy import exceptions

from opensearch_multivector.plugin.cluster_errors import describe


def refusal(status: int, kind: str, reason: str) -> exceptions.TransportError:
    cause = {"type": kind, "reason": reason}
    raised = exceptions.HTTP_EXCEPTIONS.get(status, exceptions.TransportError)
    return raised(status, kind, {"error": {"root_cause": [cause], **cause}, "status": status})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.AuthenticationException(401, "Unauthorized", "Unauthorized"), "valid user and password"),
        (exceptions.AuthorizationException(403, "", ""), "whose roles do not allow it"),  # HEAD has no body
        (
            refusal(
                403,
                "security_exception",
                "no permissions for [indices:data/read/search] and User [name=anna, backend_roles=[]]",
            ),
            "lacks the permission indices:data/read/search:",
        ),
        (
            refusal(
                403, "security_exception", "no permissions for [indices:data/write/bulk[s], indices:a] and User [b]"
            ),
            "lacks the permission indices:data/write/bulk[s], indices:a:",
        ),
        (
            refusal(400, "mapper_parsing_exception", "No handler for type [knn_vector] declared on field [dense]"),
            "lacks the k-NN plugin",
        ),
        (refusal(400, "parsing_exception", "unknown query [knn]"), "lacks the k-NN plugin"),
        (
            refusal(
                400,
                "illegal_argument_exception",
                "unknown setting [index.knn] please check that any required plugins are installed",
            ),
            "lacks the k-NN plugin",
        ),
        (refusal(429, "circuit_breaking_exception", "[parent] Data too large"), "too busy or short of memory"),
        (exceptions.TransportError(413, "", ""), "http.max_content_length"),
        (exceptions.SerializationError("<html>", ValueError()), "not OpenSearch's JSON"),
        (exceptions.TransportError(502, "", "<html>bad gateway</html>"), "status 502"),
    ],
)
def test_refusals(error: Exception, said: str) -> None:
    sentence = describe(error)
    assert said in sentence
    assert sentence.endswith(".")
