"""How many searches at once does `osmv serve` take, how long do they wait, and what does it say to the others?

    python benchmarks/service_load.py [--documents N] [--requests N] [--at-once 1,8,50,200,400]

On the cluster at OSMV_URL, or the local node: an index of made-up texts, indexed with the small model, is searched
through a service in a process of its own; it is deleted at the end. ``--at-once``: clients, each of which sends its
next search when the last is answered. Prints for each number how many were answered, how many got 429, those answered
a second, percentiles of the answered ones' time in milliseconds as the client sees it, and of their wait for a turn.
Whatever else comes back is printed, and ends it with 1. Clients and service share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from aiohttp import ClientSession, ClientTimeout, TCPConnector

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.plugin.connection import connect

INDEX = "osmv-service-load"
_WORDS = Path(__file__).read_text(encoding="utf-8").lower().replace("`", " ").split()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--at-once", default="1,8,50,200,400")
    parser.add_argument("--max-concurrent", type=int, default=8)
    parser.add_argument("--max-waiting", type=int, default=200)
    parser.add_argument("--rerank", default="auto")
    arguments = parser.parse_args()
    rng = random.Random(9)
    client = connect()
    texts = [" ".join(rng.choices(_WORDS, k=60)) for _ in range(arguments.documents)]
    documents = [{"id": str(place), "text": text} for place, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        client.indices.delete(index=INDEX, ignore_unavailable=True)
        letters = Path(folder) / "dead.jsonl"
        index_documents(client, INDEX, documents, encoder=load_encoder(MINILM_INT8), dead_letters=letters)
    command = [sys.executable, "-m", "opensearch_multivector.cli.main", "serve", "--port", "0", "--rate", "0"]
    command += ["--index", INDEX, "--max-concurrent", str(arguments.max_concurrent), "--no-access-log"]
    command += ["--max-waiting", str(arguments.max_waiting), "--max-wait", "60", "--time-budget", "60"]
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert serving.stdout is not None
        url = serving.stdout.readline().split()[3]
        asyncio.run(until_ready(url))
        print(f"{arguments.documents} documents; {arguments.max_concurrent} searches under way, ", end="")
        print(f"{arguments.max_waiting} may wait; rerank {arguments.rerank}")
        print("at once   answered    429   a second      p50      p95      p99    wait p50      p99")
        unexpected: Counter[str] = Counter()
        for at_once in map(int, arguments.at_once.split(",")):
            unexpected += asyncio.run(measure(url, at_once, arguments.requests, arguments.rerank))
    finally:
        serving.terminate()
        serving.wait(60)
        client.indices.delete(index=INDEX, ignore_unavailable=True)
    for what, count in unexpected.items():
        print(f"{count} x {what}", file=sys.stderr)
    sys.exit(1 if unexpected else 0)


async def until_ready(url: str) -> None:
    async with ClientSession() as session:
        while (await session.get(f"{url}/readyz")).status != 200:
            await asyncio.sleep(0.2)


async def measure(url: str, at_once: int, requests: int, rerank: str) -> Counter[str]:
    """Print a line; what came back beside answers and 429."""
    rng = random.Random(at_once)
    left = max(requests, 2 * at_once)
    times: list[float] = []
    waits: list[float] = []
    refused = 0
    unexpected: Counter[str] = Counter()
    async with ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(120)) as session:

        async def one() -> None:
            nonlocal left, refused
            while left > 0:
                left -= 1
                body = {"index": INDEX, "query": " ".join(rng.choices(_WORDS, k=5)), "rerank": rerank}
                began = time.perf_counter()
                async with session.post(f"{url}/search", json=body) as answer:
                    told = await answer.json()
                if answer.status == 200 and not told["degraded"]:
                    times.append((time.perf_counter() - began) * 1e3)
                    waits.append(sum(stage["duration"] for stage in told["stages"] if stage["name"] == "queue"))
                elif answer.status == 429 and "Retry-After" in answer.headers:
                    refused += 1
                else:
                    unexpected[f"{answer.status} {str(told)[:200]}"] += 1

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(at_once)))
        seconds = time.perf_counter() - began
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    wait, longest = np.percentile(waits, [50, 99])
    print(
        f"{at_once:7} {len(times):10} {refused:6} {len(times) / seconds:10.1f} {p50:8.0f} {p95:8.0f} {p99:8.0f} "
        f"{wait:11.0f} {longest:8.0f}",
        flush=True,
    )
    return unexpected


if __name__ == "__main__":
    main()
