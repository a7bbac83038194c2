"""The jars of Apache Kafka, which `jgo` fetches once from Maven Central into a cache folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KAFKA_VERSION = "4.3.1"
"""The version in the demo, the tests and the compose file."""
OLDEST_KAFKA_VERSION = "3.9.1"
"""The oldest version that is tested."""
_LOGGING = "org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"
"""The jars that bind Kafka's logging to log4j. Without them the broker's log stays empty."""


class LocalServiceError(RuntimeError):
    """A local server cannot run. The message is one line with the reason and what to do."""


def silent(line: str) -> None:
    """Show no progress."""


def prepare(progress: Callable[[str], None] = silent, version: str = KAFKA_VERSION) -> Path:
    """Return the folder of Kafka's jars. If the cache lacks them, fetch them first (46 jars, 45 MB).

    The cache is the folder in the environment variable HOTSPOTS_CACHE, else ~/.cache/hotspot-monitor. `progress` gets
    a line for each jar. Raises LocalServiceError if the jars cannot be fetched.
    """
    cache = Path(os.environ.get("HOTSPOTS_CACHE") or Path.home() / ".cache" / "hotspot-monitor").absolute()
    folder = cache / f"kafka-{version}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as scratch:
            fetched = Path(scratch) / "jars"
            fetched.mkdir()
            fetch(fetched, Path(scratch) / "repository", progress, version)
            _publish(fetched, folder)
    except ImportError as error:
        raise LocalServiceError(
            f"Apache Kafka needs `jgo` ({error}): pip install 'hotspot-monitor[embedded]'"
        ) from error
    except (OSError, RuntimeError) as error:
        raise LocalServiceError(
            f"Apache Kafka {version} is not in {cache} and cannot be fetched from Maven Central: connect to the "
            f"network for the first start, or set HOTSPOTS_CACHE to a folder that holds {folder.name} "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    return folder


def fetch(folder: Path, repository: Path, progress: Callable[[str], None], version: str) -> None:
    """Download the jars of a version into `folder`; `repository` is a scratch folder."""
    from jgo.maven import Artifact, MavenContext  # here, because it is slow to import and needed only once
    from jgo.parse import Coordinate

    progress(f"Apache Kafka {version}: resolving its parts")
    maven = MavenContext(repo_cache=repository)
    artifacts: dict[str, Artifact] = {}
    # One after the other, because together the version table of the second would replace Kafka's own clients.
    for coordinates in (("org.apache.kafka", "kafka_2.13", version), _LOGGING):
        wanted = maven.create_dependency(Coordinate(*coordinates, scope="compile"))
        itself, needed = maven.resolver.resolve([wanted])
        for dependency in [*itself, *needed]:
            if dependency.scope in ("compile", "runtime"):
                artifacts.setdefault(dependency.artifact.filename, dependency.artifact)
    with ThreadPoolExecutor(4) as pool:
        for count, jar in enumerate(pool.map(Artifact.resolve, artifacts.values()), start=1):
            jar.rename(folder / jar.name)
            progress(f"Apache Kafka {version}: {count} of {len(artifacts)} jars")


def _publish(fetched: Path, folder: Path) -> None:
    """Move the complete folder to its place in one step, so that nobody ever sees half of it."""
    try:
        fetched.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster, and its folder is the same
            raise
