"""The folder, the configuration and the command line of one node."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from opensearch_multivector.plugin.node.distribution import Distribution
from opensearch_multivector.plugin.node.java import Java
from opensearch_multivector.plugin.node.places import Account, give, make_folder
from opensearch_multivector.plugin.probe import LUCENE_ONLY

MARK = "-Dosmv.node="  # on the JVM's command line: how a node's process is known from any other
_PARTS = ("config", "data", "logs", "snapshots", "tmp")

LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:opensearch.logs.base_path}/opensearch.log
appender.file.filePattern = ${sys:opensearch.logs.base_path}/opensearch.%i.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %marker%m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


def free_port(preferred: int | None = None) -> int:
    """A TCP port of 127.0.0.1 that nobody listens on: `preferred` if it is free."""
    for port in (preferred or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free TCP port on 127.0.0.1")


def prepare(
    folder: Path,
    name: str,
    http_port: int,
    transport_port: int,
    account: Account | None,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Make the node's folders and write its configuration, with `extra` settings; `data` is kept as it is."""
    make_folder(folder)
    for part in _PARTS:
        make_folder(folder / part, account)
    settings = {
        "cluster.name": f"osmv-{name}",
        "node.name": name,
        "path.data": folder / "data",
        "path.logs": folder / "logs",
        "path.repo": folder / "snapshots",
        "network.host": "127.0.0.1",
        "http.port": http_port,
        "transport.port": transport_port,
        "discovery.type": "single-node",
        f"node.attr.{LUCENE_ONLY}": "true",
        # A laptop's full disk must not turn the indices read-only.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        **(extra or {}),
    }
    (folder / "config/opensearch.yml").write_text("".join(f'{key}: "{value}"\n' for key, value in settings.items()))
    (folder / "config/log4j2.properties").write_text(LOG4J)
    log = folder / "logs/opensearch.log"
    if log.exists():  # so that the log holds this run alone, and an old error is never taken for today's
        log.replace(folder / "logs/opensearch.previous.log")
    for part in _PARTS:
        give(folder / part, account)


def command_line(folder: Path, home: Path, heap: str, java: Java, distribution: Distribution) -> list[str]:
    """How the node's JVM is started."""
    agent = home / "agent" / f"opensearch-agent-{distribution.version}.jar"
    return [
        str(java.executable),
        f"-Xms{heap}",
        f"-Xmx{heap}",
        "-XX:+UseG1GC",
        # As OpenSearch's own jvm.options: without them garbage of large responses trips the parent circuit breaker.
        "-XX:G1ReservePercent=25",
        "-XX:InitiatingHeapOccupancyPercent=30",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-OmitStackTraceInFastThrow",
        *(["--add-modules=jdk.incubator.vector"] if java.vector else []),
        *(["--enable-native-access=ALL-UNNAMED"] if java.version >= 22 else []),
        *([f"-javaagent:{agent}"] if agent.exists() else []),
        *distribution.jvm_flags,
        f"-Djava.io.tmpdir={folder / 'tmp'}",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
        "-Djna.nosys=true",
        f"-Djna.tmpdir={folder / 'tmp'}",
        "-Dio.netty.noUnsafe=true",
        "-Dio.netty.noKeySetOptimization=true",
        "-Dio.netty.recycler.maxCapacityPerThread=0",
        "-Dlog4j.shutdownHookEnabled=false",
        "-Dlog4j2.disable.jmx=true",
        f"-Dopensearch.path.home={home}",
        f"-Dopensearch.path.conf={folder / 'config'}",
        "-Dopensearch.distribution.type=tar",
        "-Dopensearch.bundled_jdk=false",
        MARK + str(folder),
        "-cp",
        f"{home / 'lib'}/*",
        "org.opensearch.bootstrap.OpenSearch",
    ]
