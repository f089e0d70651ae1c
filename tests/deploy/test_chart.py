"""The Helm chart: every set of values renders, every object is valid, and what matters is so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import kubernetes_validate
import pytest
import yaml

from broker.kafka_address import parse_address
from broker.topics import EVENTS
from hub.cli.run import ROLES
from hub.settings import Settings
from hub.wiring import GROUP
from query_api.endpoints import health, metrics
from tests.deploy.chart import MADE, secret_settings
from tests.deploy.conftest import DEPLOY, Check
from tests.deploy.kinds import SPECS

CHART = DEPLOY / "helm" / "llm-analytics-hub"
EXAMPLES = CHART / "examples"
#: Values of regions lie on top of others.
SETS = {
    "defaults": [],
    **{path.stem: [path] for path in sorted(EXAMPLES.glob("values-*.yaml")) if "region" not in path.stem},
    **{path.stem: [EXAMPLES / "values-operators.yaml", path] for path in sorted(EXAMPLES.glob("values-region-*.yaml"))},
}
#: The oldest Kubernetes that the chart says it runs on, and the newest whose schemas are here.
KUBERNETES = ("1.29", kubernetes_validate.latest_version().rsplit(".", 1)[0])

Object = dict[str, Any]


@pytest.fixture(scope="module", params=SETS)
def rendered(request: pytest.FixtureRequest, check: Check) -> Any:
    """The chart with one set of values."""
    return check("chart", CHART, *SETS[request.param])


@pytest.fixture
def objects(rendered: Any) -> list[Object]:
    return list(rendered["objects"])


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def settings_of(objects: list[Object]) -> dict[str, str]:
    """The ConfigMap of settings."""
    (found,) = [one for one in of_kind(objects, "ConfigMap") if "-dashboard-" not in one["metadata"]["name"]]
    return dict(found["data"] or {})


def pods(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Every template of a pod, with its owner."""
    for one in objects:
        if one["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield one, one["spec"]["template"]
        elif one["kind"] == "CronJob":
            yield one, one["spec"]["jobTemplate"]["spec"]["template"]


def test_helm_has_nothing_to_complain_of(rendered: Any) -> None:
    assert [line for line in rendered["lint"] if "icon is recommended" not in line] == []
    assert not rendered["unknown"]
    assert "kubectl" in rendered["notes"]


def test_every_object_is_valid(objects: list[Object], tools: Path) -> None:
    crds = [yaml.safe_load(path.read_text()) for path in (tools / "crds").glob("*.yaml")]
    known = {
        (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]): strict(
            version["schema"]["openAPIV3Schema"]
        )
        for crd in crds
        for version in crd["spec"]["versions"]
    }
    for one in objects:
        kind = one["apiVersion"], one["kind"]
        if kind in SPECS:
            jsonschema.validate(one["spec"], SPECS[kind])
        elif kind in known:
            jsonschema.validate(one, known[kind])
        elif not kind[0].startswith("monitoring.coreos.com/"):  # those have Go types, which `check` reads strictly
            for version in KUBERNETES:
                kubernetes_validate.validate(one, version, strict=True)


def strict(schema: Any) -> Any:
    """A definition's schema that refuses fields it does not know, as `kubectl` does."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    closed = "properties" in made and isinstance(made.get("type"), str) and made["properties"]
    if closed and "additionalProperties" not in made and not made.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    if made.get("properties", {}).get("metadata") == {"type": "object"}:
        made["properties"]["metadata"] = {"type": "object"}
    return made


def test_names_are_unique(objects: list[Object]) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)


def test_selectors_match_their_pods(objects: list[Object]) -> None:
    templates = [template["metadata"]["labels"].items() for _, template in pods(objects)]
    for one in of_kind(objects, "Deployment", "StatefulSet", "PodDisruptionBudget"):
        assert sum(one["spec"]["selector"]["matchLabels"].items() <= labels for labels in templates) == 1, one
    for one in of_kind(objects, "Service"):
        assert sum(one["spec"]["selector"].items() <= labels for labels in templates) == 1, one
    services = [one["metadata"]["labels"].items() for one in of_kind(objects, "Service")]
    for one in of_kind(objects, "ServiceMonitor"):
        assert all(one["spec"]["selector"]["matchLabels"].items() <= labels for labels in services)


def test_ports_and_services_that_are_named_exist(objects: list[Object]) -> None:
    ports = {
        (template["metadata"]["labels"]["app.kubernetes.io/component"], port["name"])
        for _, template in pods(objects)
        for container in template["spec"]["containers"]
        for port in container.get("ports", ())
    }
    offered = set()
    for service in of_kind(objects, "Service"):
        for port in service["spec"]["ports"]:
            assert (service["spec"]["selector"]["app.kubernetes.io/component"], port["targetPort"]) in ports
            offered.add((service["metadata"]["name"], port["name"]))
    for ingress in of_kind(objects, "Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            backend = path["backend"]["service"]
            assert (backend["name"], backend["port"]["name"]) in offered
    scaled = {one["metadata"]["name"] for one in of_kind(objects, "Deployment")}
    for scaler in of_kind(objects, "ScaledObject", "HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] in scaled


def test_every_variable_is_a_setting(objects: list[Object]) -> None:
    allowed = {f"LLM_HUB_{name.upper()}" for name in Settings.model_fields} | {"LLM_HUB_URL", "LLM_HUB_KEY"}
    names = list(settings_of(objects))
    names += [name for one in of_kind(objects, "Secret") for name in one["stringData"]]
    names += [data["secretKey"] for one in of_kind(objects, "ExternalSecret") for data in one["spec"]["data"]]
    for _, template in pods(objects):
        names += [one["name"] for one in template["spec"]["containers"][0].get("env", ())]
    assert {name for name in names if name.startswith("LLM_HUB_")} <= allowed


def test_settings_are_what_the_hub_takes(objects: list[Object]) -> None:
    given = {name.removeprefix("LLM_HUB_").lower(): value for name, value in settings_of(objects).items()}
    if "mirrors" in given:  # the address of the brokers is a variable of the pods
        given["broker_url"] = "kafka://brokers:9092"
    Settings.model_validate(given)


def test_no_secret_is_in_a_config_map_or_a_pod(objects: list[Object]) -> None:
    secret = {f"LLM_HUB_{name.upper()}" for name in secret_settings() - {"broker_url"}}
    for one in of_kind(objects, "ConfigMap"):
        assert not secret & set(one["data"] or {})
    for _, template in pods(objects):
        for variable in template["spec"]["containers"][0].get("env", ()):
            plain = "value" in variable and "$(" not in variable["value"]
            assert not (variable["name"] in secret and plain), variable["name"]


def test_kafka_is_reached_as_its_address_says(objects: list[Object]) -> None:
    addresses = set()
    for owner, template in pods(objects):
        container = template["spec"]["containers"][0]
        variables = {one["name"]: one.get("value") for one in container.get("env", ())}
        if "LLM_HUB_BROKER_URL" not in variables:
            assert owner["kind"] in ("StatefulSet", "CronJob")
            continue
        addresses.add(variables["LLM_HUB_BROKER_URL"])
        files = {mount["mountPath"] + "/ca.crt" for mount in container["volumeMounts"] if mount["name"] == "kafka-ca"}
        url = variables["LLM_HUB_BROKER_URL"].replace("$(KAFKA_PASSWORD)", "secret")
        for file in files:
            assert file in url
            url = url.replace(file, __file__)  # the address is refused where the file is not
        address = parse_address(url)
        assert address.sasl == ("KAFKA_PASSWORD" in variables)
        assert (address.user, address.password) == ((variables["KAFKA_USER"], "secret") if address.sasl else ("", ""))
        assert bool(address.ca) == bool(files)
    for scaler in of_kind(objects, "ScaledObject"):
        trigger, triggers = scaler["spec"]["triggers"][0], of_kind(objects, "TriggerAuthentication")
        assert trigger.get("authenticationRef", {}).get("name") in {
            None,
            *(one["metadata"]["name"] for one in triggers),
        }
        assert all(trigger["metadata"]["bootstrapServers"] in address for address in addresses)


def test_pods_are_confined(objects: list[Object]) -> None:
    for owner, template in pods(objects):
        spec, pod = template["spec"], template["spec"]["securityContext"]
        assert pod["runAsNonRoot"]
        assert pod["runAsUser"] == 10001
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec["automountServiceAccountToken"]
        assert not spec["enableServiceLinks"], "a Service named llm-hub would set LLM_HUB_PORT"
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= container["resources"].keys(), owner["metadata"]["name"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            claims = {one["metadata"]["name"] for one in owner["spec"].get("volumeClaimTemplates", ())}
            assert mounted == {volume["name"] for volume in spec["volumes"]} | claims


def test_probes_are_routes(objects: list[Object]) -> None:
    routes = {route.path for router in (health.router, metrics.router) for route in router.routes}
    for owner, template in pods(objects):
        if owner["kind"] in ("Deployment", "StatefulSet"):
            container = template["spec"]["containers"][0]
            paths = {container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
            assert paths == {"/health/live", "/health/ready"}
            assert paths <= routes
    for one in of_kind(objects, "ServiceMonitor"):
        assert {endpoint["path"] for endpoint in one["spec"]["endpoints"]} <= routes


def test_roles_are_those_of_the_command(objects: list[Object]) -> None:
    deployments = of_kind(objects, "Deployment")
    roles = {one["spec"]["template"]["spec"]["containers"][0]["args"][1] for one in deployments}
    assert roles == (set(ROLES) if deployments else set())


def test_workers_are_no_more_than_partitions(objects: list[Object]) -> None:
    for scaler in of_kind(objects, "ScaledObject"):
        partitions = int(settings_of(objects)["LLM_HUB_PARTITIONS"])
        assert 1 <= scaler["spec"]["minReplicaCount"] <= scaler["spec"]["maxReplicaCount"] <= partitions
        trigger = scaler["spec"]["triggers"][0]["metadata"]
        assert (trigger["consumerGroup"], trigger["topic"]) == (GROUP, EVENTS)
        assert scaler["spec"]["cooldownPeriod"] >= 300


def test_pods_may_drain(objects: list[Object]) -> None:
    for owner, template in pods(objects):
        if owner["kind"] == "Deployment":
            drain = float(settings_of(objects)["LLM_HUB_DRAIN_S"])
            assert drain > 2 * template["spec"]["containers"][0]["readinessProbe"]["periodSeconds"] - 1
            assert template["spec"]["terminationGracePeriodSeconds"] >= drain + 30


def test_what_a_values_file_may_not_say(check: Check, tmp_path: Path) -> None:
    scaled = {
        "mode": "scaled",
        "secret": {"source": "existing"},
        "kafka": {"bootstrapServers": "k:9092", "partitions": 12},
    }
    wrong: dict[str, Any] = {
        "database_url": {"settings": {"database_url": "postgresql://u:p@h/d"}},
        "bootstrapServers": {**scaled, "kafka": {"bootstrapServers": ""}},
        "partitions is 4": {**scaled, "kafka": {"bootstrapServers": "k:9092", "partitions": 4}},
        "secret.source": {**scaled, "secret": {"source": "none"}},
        "nonsense": {"nonsense": True},
        "cannot be none": {"backup": {"enabled": True}},
        "LLM_HUB_METRICS_KEY": {"monitoring": {"serviceMonitor": {"enabled": True}}},
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(scaled))
    assert check("chart", CHART, file)["objects"]
    for message, values in wrong.items():
        file.write_text(yaml.safe_dump(values))
        with pytest.raises(AssertionError, match=message):
            check("chart", CHART, file)


def test_the_schema_keeps_secrets_out_of_values() -> None:
    names = json.loads((CHART / "values.schema.json").read_text())["$defs"]["settings"]["propertyNames"]
    refused = {name for name in Settings.model_fields if not jsonschema.Draft202012Validator(names).is_valid(name)}
    assert refused == secret_settings() | MADE


def test_another_role_is_one_entry(check: Check, tmp_path: Path) -> None:
    values = {
        "mode": "scaled",
        "secret": {"source": "existing"},
        "kafka": {"bootstrapServers": "k:9092"},
        "roles": {"another": {"doors": False, "replicas": 1, "autoscaling": {"by": "none"}, "resources": {}}},
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    made = check("chart", CHART, file)["objects"]
    deployment = next(one for one in of_kind(made, "Deployment") if one["metadata"]["name"].endswith("-another"))
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == ["run", "another"]
    assert deployment["spec"]["replicas"] == 1


def test_rules_and_dashboards_are_those_beside_the_chart(check: Check) -> None:
    made = check("chart", CHART, *SETS["values-managed"])["objects"]
    (rule,) = of_kind(made, "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
    maps = [one for one in of_kind(made, "ConfigMap") if "-dashboard-" in one["metadata"]["name"]]
    dashboards = {name: text for one in maps for name, text in one["data"].items()}
    assert dashboards == {path.name: path.read_text() for path in (DEPLOY / "grafana").glob("*.json")}
    (monitor,) = of_kind(made, "ServiceMonitor")
    assert {"targetLabel": "job", "replacement": "llm-hub"} in monitor["spec"]["endpoints"][0]["relabelings"]


def test_clickhouse_has_the_settings_beside_the_chart(check: Check) -> None:
    made = check("chart", CHART, *SETS["values-operators"])["objects"]
    (installation,) = of_kind(made, "ClickHouseInstallation")
    files = {path.name: path.read_text() for path in (DEPLOY / "clickhouse").glob("*.xml")}
    assert installation["spec"]["configuration"]["files"] == {f"config.d/{name}": text for name, text in files.items()}
    for text in files.values():
        assert ET.fromstring(text).tag == "clickhouse"


def test_several_nodes_of_clickhouse_are_a_cluster_that_the_hub_knows(check: Check, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    for shards, replicas in ((1, 1), (1, 2), (2, 1)):
        file.write_text(yaml.safe_dump({"clickhouse": {"altinity": {"shards": shards, "replicas": replicas}}}))
        made = check("chart", CHART, *SETS["values-operators"], file)["objects"]
        (installation,) = of_kind(made, "ClickHouseInstallation")
        (cluster,) = installation["spec"]["configuration"]["clusters"]
        told = settings_of(made).get("LLM_HUB_WAREHOUSE_CLUSTER")
        assert told == (cluster["name"] if shards * replicas > 1 else None)


def test_regions_mirror_what_the_other_wrote_and_nothing_back(check: Check) -> None:
    for here, there in (("region-a", "region-b"), ("region-b", "region-a")):
        made = check("chart", CHART, *SETS[f"values-{here}"])["objects"]
        (mirror,) = of_kind(made, "KafkaMirrorMaker2")
        assert mirror["spec"]["target"]["alias"] == here
        (one,) = mirror["spec"]["mirrors"]
        assert one["source"]["alias"] == there
        assert one["topicsPattern"] == EVENTS.replace(".", r"\.")
        told = settings_of(made)
        assert (told["LLM_HUB_REGION"], told["LLM_HUB_MIRRORS"]) == (here, there)
