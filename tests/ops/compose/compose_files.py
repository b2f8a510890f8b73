"""The compose files as they are read: their services, with what they share filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).parents[3] / "docker"
SECURED, SINGLE = DOCKER / "compose.yaml", DOCKER / "compose.single.yaml"
FILES = (SECURED, SINGLE)


def services(file: Path) -> dict[str, Any]:
    """By name."""
    found: dict[str, Any] = yaml.safe_load(file.read_text())["services"]
    return found


def mounts(service: dict[str, Any]) -> dict[str, Path]:
    """Files and folders of this machine, by where the container sees them; volumes are none."""
    pairs = [volume.split(":")[:2] for volume in service.get("volumes", ())]
    return {inside: (DOCKER / outside).resolve() for outside, inside in pairs if outside.startswith(".")}
