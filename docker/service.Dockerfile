# `osmv serve`: searches over HTTP, with the small model and without torch. From the project's root:
#   docker build -f docker/service.Dockerfile -t opensearch-multivector-service .
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:9680:9680 -e OSMV_URL=... -e OSMV_API_TOKEN=... \
#     opensearch-multivector-service
# BASE: a Debian with python3 3.11 or newer and its venv module. Where packages come from other than PyPI, pip's settings
# come in as the secret `pip` and the authorities it trusts as `authorities`; neither stays in the image.
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
# By which docker/images.py finds what Podman keeps of this stage, to remove it after a day.
LABEL osmv.image=service-build
WORKDIR /build
RUN python3 -m venv /opt/osmv
COPY requirements-serve.txt .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=authorities,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/osmv/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
    -r requirements-serve.txt
COPY . .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=authorities,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/osmv/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps . \
    && /opt/osmv/bin/pip uninstall --quiet --yes pip setuptools

FROM ${BASE}
RUN useradd --uid 1000 --no-create-home osmv
COPY --from=build /opt/osmv /opt/osmv
ENV PATH=/opt/osmv/bin:$PATH
USER 1000
EXPOSE 9680
# Alive, not ready: a cluster that is away is no reason to start the service again.
HEALTHCHECK --interval=5s --timeout=10s --start-period=1m --retries=6 \
    CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9680/healthz', timeout=5)"]
ENTRYPOINT ["osmv"]
CMD ["serve", "--host", "0.0.0.0"]
