"""docker-compose.yml and the Dockerfile: valid, pinned, confined, in order, and in step with the settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command

from schemas.settings import Settings, load_settings
from services.cli import build_app
from tests.tools import unavailable

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
ON_DEMAND = ("load", "record", "replay")
"""Each is a profile of its own name."""
OURS = ("topics", "producer", "stream", "serve", *ON_DEMAND)
PREFIX = "QUETMA_"
MONITORING = ROOT / "services" / "monitoring"
PROMETHEUS = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
SCRAPED = {job["job_name"]: job for job in PROMETHEUS["scrape_configs"]}

Json = dict[str, Any]


def _load() -> Json:
    """The file as Compose sees it: anchors merged, variables at their defaults."""
    content: Json = _interpolated(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    return content


def _interpolated(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_interpolated(inner) for inner in value]
    if isinstance(value, str):
        assert re.sub(r"\$\{\w+:-[^}]*\}", "", value).count("$") == 0, f"no default: {value}"
        return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
    return value


COMPOSE = _load()
SERVICES: dict[str, Json] = COMPOSE["services"]
each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_long_running = pytest.mark.parametrize("name", sorted(set(SERVICES) - {"topics", *ON_DEMAND}))
each_of_ours = pytest.mark.parametrize("name", OURS)


class TestTheFile:
    def test_compose_accepts_it(self) -> None:
        assert _compose("config", "--quiet") == ""

    def test_every_service_is_there(self) -> None:
        assert set(SERVICES) == {"kafka", *OURS, "prometheus", "grafana"}

    def test_every_variable_is_in_the_manual_with_its_default(self) -> None:
        manual = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
        documented: dict[str, str] = {}
        for names, defaults in re.findall(r"^\| (`[A-Z][^|]*`) \| (`[^|]*`) \|", manual, re.MULTILINE):
            documented |= dict(zip(re.findall("`([^`]+)`", names), re.findall("`([^`]+)`", defaults), strict=True))
        assert documented == dict(re.findall(r"\$\{(\w+):-([^}]*)\}", FILE.read_text(encoding="utf-8")))

    def test_no_secret_is_in_it(self) -> None:
        text = FILE.read_text(encoding="utf-8")
        for line in text.splitlines():
            if re.search(r"password|secret|token", line, re.IGNORECASE) and not line.lstrip().startswith("#"):
                assert re.search(r": \$\{\w+:-\w*\}$", line), line

    def test_every_named_volume_is_declared_and_used(self) -> None:
        used = {
            volume.split(":")[0]
            for service in SERVICES.values()
            for volume in service.get("volumes", ())
            if not volume.startswith(".")
        }
        assert used == set(COMPOSE["volumes"])

    def test_what_it_mounts_from_the_checkout_is_there_and_read_only(self) -> None:
        for service in SERVICES.values():
            for volume in service.get("volumes", ()):
                if volume.startswith("."):
                    source, _, mode = volume.split(":")
                    assert mode == "ro"
                    assert (ROOT / source).exists(), source


class TestImages:
    @each_service
    def test_it_is_pinned_to_a_release(self, name: str) -> None:
        _assert_pinned(SERVICES[name]["image"])

    def test_ours_is_one_image_of_this_version_built_once(self) -> None:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        assert {SERVICES[name]["image"] for name in OURS} == {f"quetma:{version}"}
        assert [name for name in OURS if "build" in SERVICES[name]] == ["topics"]
        assert {name: SERVICES[name]["pull_policy"] for name in OURS} == {
            "topics": "build",
            "producer": "never",
            "stream": "never",
            "serve": "never",
            **dict.fromkeys(ON_DEMAND, "never"),
        }

    def test_kafka_is_the_release_that_the_contract_tests_run_on(self) -> None:
        pom = (ROOT / "tests" / "kafka" / "pom.xml").read_text(encoding="utf-8")
        match = re.search(r"<kafka.version>([^<]+)</kafka.version>", pom)
        assert match is not None
        assert SERVICES["kafka"]["image"] == f"apache/kafka:{match[1]}"


class TestConfinement:
    @each_service
    def test_it_runs_as_somebody_else_than_root(self, name: str) -> None:
        assert SERVICES[name]["user"].split(":")[0] not in {"", "0", "root"}

    @each_service
    def test_it_has_no_privileges_and_gains_none(self, name: str) -> None:
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(service)

    @each_service
    def test_its_memory_and_processes_and_logs_are_bounded(self, name: str) -> None:
        service = SERVICES[name]
        assert re.fullmatch(r"[1-9]\d*[mg]", service["mem_limit"])
        assert service["pids_limit"] > 0
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}

    @each_service
    def test_its_own_files_are_read_only(self, name: str) -> None:
        # Kafka's start script writes its configuration into the image's folder
        assert SERVICES[name].get("read_only", False) == (name != "kafka")

    @each_service
    def test_its_ports_are_on_loopback(self, name: str) -> None:
        for port in SERVICES[name].get("ports", ()):
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port

    def test_grafana_lets_nobody_in_without_a_password(self) -> None:
        environment = SERVICES["grafana"]["environment"]
        assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
        assert environment["GF_SECURITY_ADMIN_PASSWORD"]


class TestManyWorkers:
    def test_there_are_several_and_none_without_a_partition(self) -> None:
        environment = SERVICES["stream"]["environment"]
        assert 1 < int(SERVICES["stream"]["scale"]) <= int(environment["QUETMA_KAFKA__PARTITIONS"])
        assert [name for name, service in SERVICES.items() if "scale" in service] == ["stream"]

    def test_nothing_of_a_worker_can_be_there_only_once(self) -> None:
        for name in OURS:
            assert not {"container_name", "hostname"} & set(SERVICES[name])
        for name in ("stream", "producer", "load"):
            assert not {"ports", "volumes"} & set(SERVICES[name])

    @pytest.mark.parametrize(
        ("name", "port"), [("stream", Settings().stream.metrics_port), ("producer", Settings().producer.metrics_port)]
    )
    def test_prometheus_asks_for_all_addresses_of_its_name(self, name: str, port: int) -> None:
        (discovery,) = SCRAPED[name]["dns_sd_configs"]
        assert (discovery["names"], discovery["type"], discovery["port"]) == ([name], "A", port)
        assert "static_configs" not in SCRAPED[name]

    def test_prometheus_looks_for_them_as_often_as_it_reads_them(self) -> None:
        interval = PROMETHEUS["global"]["scrape_interval"]
        assert {SCRAPED[name]["dns_sd_configs"][0]["refresh_interval"] for name in ("stream", "producer", "load")} == {
            interval
        }

    def test_one_exporter_is_read_by_its_name(self) -> None:
        assert SCRAPED["serve"]["static_configs"] == [{"targets": [f"serve:{Settings().serve.port}"]}]

    def test_every_number_of_workers_is_accepted(self) -> None:
        for workers in ("1", "16"):
            shown = _compose("config", WORKERS=workers)
            assert yaml.safe_load(shown)["services"]["stream"]["scale"] == int(workers)


class TestOrder:
    @each_long_running
    def test_its_health_is_checked(self, name: str) -> None:
        check = SERVICES[name]["healthcheck"]
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries", "start_period"} <= set(check)

    @pytest.mark.parametrize(
        ("name", "conditions"),
        [
            ("kafka", {}),
            ("topics", {"kafka": "service_healthy"}),
            ("stream", {"topics": "service_completed_successfully"}),
            ("serve", {"topics": "service_completed_successfully"}),
            ("producer", {"stream": "service_healthy", "serve": "service_healthy"}),
            ("prometheus", {}),
            ("grafana", {"prometheus": "service_healthy"}),
            ("load", {"stream": "service_healthy", "serve": "service_healthy"}),
            ("record", {"topics": "service_completed_successfully"}),
            ("replay", {"stream": "service_healthy", "serve": "service_healthy"}),
        ],
    )
    def test_it_waits_for_what_it_needs(self, name: str, conditions: dict[str, str]) -> None:
        waits = SERVICES[name].get("depends_on", {})
        assert {other: wait["condition"] for other, wait in waits.items()} == conditions

    def test_what_ends_stays_ended_and_the_rest_comes_back(self) -> None:
        ends = {"topics": "no", "producer": "on-failure", **dict.fromkeys(ON_DEMAND, "no")}
        for name, service in SERVICES.items():
            assert service["restart"] == ends.get(name, "unless-stopped"), name

    @pytest.mark.parametrize(
        ("name", "address"),
        [
            ("serve", f"http://127.0.0.1:{Settings().serve.port}/healthz"),
            ("stream", f"http://127.0.0.1:{Settings().stream.metrics_port}/metrics"),
            ("producer", f"http://127.0.0.1:{Settings().producer.metrics_port}/metrics"),
        ],
    )
    def test_ours_are_asked_where_they_listen(self, name: str, address: str) -> None:
        command = SERVICES[name]["healthcheck"]["test"]
        assert command[:3] == ["CMD", "python", "-c"]
        assert address in command[3]
        compile(command[3], name, "exec")


class TestSettings:
    @each_of_ours
    def test_every_variable_is_a_setting(self, name: str) -> None:
        names = {key for key in SERVICES[name]["environment"] if key.startswith(PREFIX)}
        assert names <= _setting_names(Settings)

    @each_of_ours
    def test_every_value_is_allowed(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for key, value in SERVICES[name]["environment"].items():
            assert isinstance(value, str), key
            monkeypatch.setenv(key, value)
        settings = load_settings()
        assert settings.serve.host == "0.0.0.0"
        assert settings.kafka.bootstrap_servers == "kafka:19092"

    def test_all_of_ours_see_the_same_broker_and_partitions(self) -> None:
        for key in ("QUETMA_KAFKA__BOOTSTRAP_SERVERS", "QUETMA_KAFKA__PARTITIONS"):
            assert len({SERVICES[name]["environment"][key] for name in OURS}) == 1

    def test_commands(self) -> None:
        assert {name: SERVICES[name]["command"] for name in OURS} == {
            "topics": ["topics", "create"],
            "stream": ["stream"],
            "serve": ["serve"],
            "producer": ["produce", "an-giang", "--speed", "600"],
            "load": ["load", "an-giang", "--profile", "steady", "--rate", "1000", "--for", "5m"],
            "record": ["record", "quetma.payments", "--out", "/captures/capture.parquet"],
            "replay": ["replay", "/captures/capture.parquet", "--speed", "600"],
        }

    @each_of_ours
    def test_the_command_line_takes_its_command(self, name: str) -> None:
        command, *arguments = SERVICES[name]["command"]
        parser: Any = get_command(build_app([command]))
        found = parser.commands[command]
        if hasattr(found, "commands"):  # a group of commands
            found = found.commands[arguments.pop(0)]
        found.make_context(command, arguments)


class TestOnDemand:
    @pytest.mark.parametrize("name", sorted(SERVICES))
    def test_only_what_is_asked_for_has_a_profile(self, name: str) -> None:
        assert SERVICES[name].get("profiles") == ([name] if name in ON_DEMAND else None)

    def test_compose_adds_what_is_asked_for(self) -> None:
        plain = set(_compose("config", "--services").split())
        for name in ON_DEMAND:
            assert set(_compose("--profile", name, "config", "--services").split()) == plain | {name}

    def test_captures_outlive_their_container_and_replay_cannot_change_them(self) -> None:
        assert SERVICES["record"]["volumes"] == ["captures:/captures"]
        assert SERVICES["replay"]["volumes"] == ["captures:/captures:ro"]
        assert "install --directory --owner=10001 --group=10001 /captures" in _dockerfile()

    def test_prometheus_finds_loads_and_replays(self) -> None:
        (discovery,) = SCRAPED["load"]["dns_sd_configs"]
        assert (discovery["names"], discovery["port"]) == (["load"], Settings().load.metrics_port)
        assert SERVICES["replay"]["networks"]["default"]["aliases"] == ["load"]


class TestKafka:
    def test_it_is_its_own_controller_on_one_node(self) -> None:
        environment = SERVICES["kafka"]["environment"]
        assert environment["KAFKA_PROCESS_ROLES"] == "broker,controller"
        voter, controller = environment["KAFKA_CONTROLLER_QUORUM_VOTERS"].split("@")
        assert voter == environment["KAFKA_NODE_ID"]
        assert f"CONTROLLER://:{controller.split(':')[1]}" in environment["KAFKA_LISTENERS"]
        for key, value in environment.items():
            if key.endswith(("_REPLICATION_FACTOR", "_MIN_ISR", "_MIN_INSYNC_REPLICAS")):
                assert value == "1", key
        assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"

    def test_containers_and_host_find_it_under_the_name_it_gives_itself(self) -> None:
        kafka = SERVICES["kafka"]
        environment = kafka["environment"]
        listeners = dict(item.split("://") for item in environment["KAFKA_LISTENERS"].split(","))
        advertised = dict(item.split("://") for item in environment["KAFKA_ADVERTISED_LISTENERS"].split(","))
        protocols = dict(item.split(":") for item in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
        assert set(protocols) == set(listeners)
        assert advertised["INTERNAL"] == SERVICES["stream"]["environment"]["QUETMA_KAFKA__BOOTSTRAP_SERVERS"]
        assert advertised["INTERNAL"].endswith(listeners["INTERNAL"])
        assert kafka["ports"] == [f"127.0.0.1:{advertised['HOST'].split(':')[1]}{listeners['HOST']}"]
        assert advertised["INTERNAL"] in kafka["healthcheck"]["test"][1]

    def test_its_data_outlives_the_container(self) -> None:
        kafka = SERVICES["kafka"]
        assert f"kafka-data:{kafka['environment']['KAFKA_LOG_DIRS']}" in kafka["volumes"]


class TestTheImage:
    def test_its_base_is_pinned_and_one(self) -> None:
        bases = re.findall(r"^FROM (\S+)", _dockerfile(), re.MULTILINE)
        assert len(bases) == 2
        assert len(set(bases)) == 1
        _assert_pinned(bases[0])

    def test_it_installs_nothing_without_a_hash(self) -> None:
        installs = re.findall(r"pip .*\binstall\b.*", _dockerfile())
        assert len(installs) == 2
        dependencies, ours = installs
        assert "--require-hashes" in dependencies
        assert "requirements/run.txt" in dependencies
        assert {"--no-index", "--no-deps"} <= set(ours.split())

    def test_it_runs_quetma_as_the_user_that_compose_names(self) -> None:
        text = _dockerfile()
        (user,) = re.findall(r"^USER (\S+)", text, re.MULTILINE)
        assert {SERVICES[name]["user"] for name in OURS} == {user}
        assert text.index("\nUSER ") < text.index("\nENTRYPOINT ")
        assert 'ENTRYPOINT ["quetma"]' in text

    def test_its_working_folder_stays_writable_when_the_rest_is_not(self) -> None:
        (folder,) = re.findall(r"^WORKDIR (/var/\S+)", _dockerfile(), re.MULTILINE)
        for name in OURS:
            assert any(mount.startswith(f"{folder}:uid=10001,gid=10001") for mount in SERVICES[name]["tmpfs"])

    def test_the_builder_sees_only_what_it_needs(self) -> None:
        lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        rules = [line for line in lines if line and not line.startswith("#")]
        assert rules[0] == "*"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        needed = {*packages, "pyproject.toml", "requirements/run.txt", project["project"]["readme"]}
        assert needed <= {rule.removeprefix("!") for rule in rules if rule.startswith("!")}


def _dockerfile() -> str:
    return DOCKERFILE.read_text(encoding="utf-8")


def _assert_pinned(image: str) -> None:
    """Three numbers at least: a tag of two moves with every patch."""
    repository, separator, tag = image.partition(":")
    assert separator, image
    assert re.fullmatch(r"[\w./-]+", repository)
    assert re.match(r"v?\d+\.\d+\.\d+(?!\d)", tag), image


def _setting_names(model: type[BaseModel], prefix: str = PREFIX) -> set[str]:
    names: set[str] = set()
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names |= _setting_names(inner, f"{variable}__")
        else:
            names.add(variable)
    return names


def _compose(*arguments: str, **environment: str) -> str:
    """What Compose prints, with warnings left out."""
    done = subprocess.run(
        [*_compose_command(), "--file", str(FILE), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _compose_command() -> list[str]:
    """Compose, as a program of its own or as Docker's plugin; both hold the file to the schema they carry."""
    if (program := shutil.which("docker-compose")) is not None:
        return [program]
    if (docker := shutil.which("docker")) is not None:
        plugin = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return [docker, "compose"]
    unavailable("not installed: docker-compose")
    raise AssertionError
