"""The compose file, checked as far as it can be without an engine: structure, names, secrets, ports, settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.settings import load_settings
from cli.stack import mosquitto

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("migrate", "ingest", "streams", "alerts", "api")
# The keys of the Compose Specification that we use; a misspelt one is not among them.
SERVICE_KEYS = {
    *("image", "build", "restart", "init", "read_only", "tmpfs", "cap_drop", "security_opt", "stop_grace_period"),
    *("logging", "command", "environment", "secrets", "volumes", "networks", "shm_size", "healthcheck", "user"),
    *("ports", "depends_on"),
}


def test_every_service_uses_known_keys_and_only_declared_things() -> None:
    """Secrets, volumes and networks are declared at the top, and nothing is declared for nobody."""
    used = {"secrets": set(), "volumes": set(), "networks": set()}
    for name, service in SERVICES.items():
        assert set(service) <= SERVICE_KEYS, name
        used["secrets"] |= set(service.get("secrets", []))
        used["networks"] |= set(service["networks"])
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            assert target.startswith("/"), volume
            if source.startswith("."):
                assert (DEPLOY / source).exists(), volume
                assert mode == ["ro"], volume
            else:
                used["volumes"].add(source)
    for kind, names in used.items():
        assert names == set(COMPOSE[kind]), kind


def test_images_are_pinned() -> None:
    """Each image names a full version; none floats."""
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", service["image"]), name
    assert len({SERVICES[name]["image"] for name in OURS}) == 1


def test_ports_are_published_on_loopback_only_and_only_where_needed() -> None:
    """Broker, API and Grafana; the database not at all."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"broker", "api", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_inner_network_has_no_way_out_and_the_database_is_only_there() -> None:
    """Only who must be reached, or must reach others, is on the outer network."""
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = {name for name, service in SERVICES.items() if "front" in service["networks"]}
    assert outside == {"broker", "api", "grafana", "alerts"}
    assert all("inside" in service["networks"] for service in SERVICES.values())


def test_long_running_services_have_a_healthcheck_and_wait_for_what_they_need() -> None:
    """`depends_on` names a service, and waits for health only where there is a healthcheck."""
    for name, service in SERVICES.items():
        assert name == "migrate" or "healthcheck" in service, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        for other, wait in service.get("depends_on", {}).items():
            healthy = wait["condition"] == "service_healthy"
            assert "healthcheck" in SERVICES[other] if healthy else other == "migrate", (name, other)


@pytest.mark.parametrize("name", OURS)
def test_our_processes_are_confined(name: str) -> None:
    """No capabilities, no new privileges, nothing to write but /tmp."""
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True


@pytest.mark.parametrize("name", OURS)
def test_our_variables_are_settings_that_the_room_takes(name: str, tmp_path: Path) -> None:
    """The settings are loaded from exactly these variables and converted as the process does it."""
    from cli.running import runner  # noqa: PLC0415

    environ = {}
    for variable, value in SERVICES[name]["environment"].items():
        assert isinstance(value, str), variable
        assert variable.startswith("GREENPARK_")
        if value.startswith("/run/secrets/"):
            secret = value.removeprefix("/run/secrets/")
            assert secret in SERVICES[name]["secrets"]
            (tmp_path / secret).write_text("scheme://user:password@host:1/name")
            environ[variable] = str(tmp_path / secret)
        else:
            environ[variable] = value
    settings = load_settings(None, environ)
    assert settings.database_url == "scheme://user:password@host:1/name"
    if name == "migrate":
        assert SERVICES[name]["command"] == ["migrate"]
        return
    assert SERVICES[name]["command"] == ["run", name]
    assert callable(runner(name, settings))
    assert settings.metrics.port == 9100


def test_no_secret_stands_in_the_files() -> None:
    """Passwords come from files that git does not know."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", variable):
                assert value.startswith("/run/secrets/"), (name, variable)
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert "/secrets/" in (DEPLOY / ".gitignore").read_text().splitlines()


def test_each_service_gets_only_the_secrets_it_uses() -> None:
    """What a service mounts, it names somewhere: in a variable, or in a file that it is given."""
    for name, service in SERVICES.items():
        text = str(service.get("environment", "")) + str(service.get("command", ""))
        for volume in service.get("volumes", []):
            source = DEPLOY / volume.split(":")[0]
            files = source.rglob("*") if source.is_dir() else [source]
            text += "".join(file.read_text("utf-8") for file in files if file.is_file())
        for secret in service.get("secrets", []):
            assert secret in text, (name, secret)


def test_the_variables_of_the_grafana_files_are_given() -> None:
    """Every `$GREENPARK_…` of the provisioning stands in Grafana's environment."""
    wanted = set()
    for file in (DEPLOY / "grafana" / "provisioning").rglob("*.yaml"):
        wanted |= set(re.findall(r"\$(GREENPARK_\w+)", file.read_text("utf-8")))
    given = {name for name in SERVICES["grafana"]["environment"] if name.startswith("GREENPARK_")}
    assert wanted == given


def test_the_brokers_rights_and_limits_are_those_of_the_one_machine_stack(tmp_path: Path) -> None:
    """Same ACL, and no limit of the broker's left to its default."""
    acl = (DEPLOY / "mosquitto" / "acl").read_text()
    assert acl.split("\n", 1)[1] == mosquitto.render_acl()
    settings = mosquitto.BrokerSettings(listeners=(mosquitto.Listener(1883),), directory=tmp_path)
    own = _options(mosquitto.render_config(settings))
    here = _options((DEPLOY / "mosquitto" / "mosquitto.conf").read_text())
    places = {"password_file", "acl_file", "persistence_location", "listener"}
    assert set(own) <= set(here)
    assert {key: here[key] for key in own if key not in places} == {k: v for k, v in own.items() if k not in places}
    assert here["use_username_as_clientid"] == "true"


def _options(text: str) -> dict[str, str]:
    lines = [line.split(" ", 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {key: value for key, value in lines if key != "log_type"}
