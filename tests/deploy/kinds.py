"""Those fields of operators' kinds that the chart uses, for operators whose definitions come in no Go module.

Written after the definitions of Strimzi 1.x (``kafka.strimzi.io/v1``) and of Altinity's operator 0.25: a field that is
not here is a mistake, or to be looked up and added.
"""

from typing import Any, Final

_STRING: Final = {"type": "string", "minLength": 1}
_COUNT: Final = {"type": "integer", "minimum": 1}
_ANY: Final = {"type": "object"}


def _object(required: str = "", **fields: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": fields, "required": required.split()}


def _list(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


_CONFIG: Final = {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}
_VOLUME: Final = _object(
    "id type size",
    **{
        "id": {"type": "integer"},
        "type": {"enum": ["persistent-claim", "ephemeral"]},
        "size": _STRING,
        "class": _STRING,
    },
    kraftMetadata={"enum": ["shared"]},
    deleteClaim={"type": "boolean"},
)
_LISTENER: Final = _object(
    "name port type tls",
    name={"type": "string", "pattern": "^[a-z0-9]{1,11}$"},
    port={"type": "integer", "minimum": 9092},
    type={"enum": ["internal", "route", "loadbalancer", "nodeport", "ingress", "cluster-ip"]},
    tls={"type": "boolean"},
    authentication=_object("type", type={"enum": ["tls", "scram-sha-512", "oauth", "custom"]}),
    networkPolicyPeers=_list(_object(podSelector=_ANY, namespaceSelector=_ANY, ipBlock=_ANY)),
)
_ACCESS: Final = {
    "tls": _object(
        trustedCertificates={"type": "array", "items": _object("secretName", secretName=_STRING, certificate=_STRING)}
    ),
    "authentication": _object(
        "type",
        type={"enum": ["tls", "scram-sha-256", "scram-sha-512", "plain", "custom"]},
        username=_STRING,
        passwordSecret=_object("secretName password", secretName=_STRING, password=_STRING),
    ),
}
_CONNECTOR: Final = _object(tasksMax=_COUNT, config=_CONFIG)
_TEMPLATES: Final = _object(podTemplate=_STRING, dataVolumeClaimTemplate=_STRING)
_POD: Final = _object(
    "name spec",
    name=_STRING,
    podDistribution=_list(
        _object("type", type={"enum": ["ShardAntiAffinity", "ReplicaAntiAffinity", "ClickHouseAntiAffinity"]})
    ),
    spec=_ANY,
)
_CLAIM: Final = _object("name spec", name=_STRING, reclaimPolicy={"enum": ["Retain", "Delete"]}, spec=_ANY)

SPECS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("kafka.strimzi.io/v1", "Kafka"): _object(
        "kafka",
        kafka=_object(
            "listeners",
            version={"type": "string", "pattern": r"^4\.\d+\.\d+$"},
            listeners=_list(_LISTENER),
            config=_CONFIG,
            rack=_object("topologyKey", topologyKey=_STRING),
        ),
        entityOperator=_object(userOperator=_ANY, topicOperator=_ANY),
    ),
    ("kafka.strimzi.io/v1", "KafkaUser"): _object(
        authentication=_object("type", type={"enum": ["tls", "tls-external", "scram-sha-512"]}), authorization=_ANY
    ),
    ("kafka.strimzi.io/v1", "KafkaNodePool"): _object(
        "replicas roles storage",
        replicas=_COUNT,
        roles=_list({"enum": ["broker", "controller"]}),
        resources=_ANY,
        storage=_object("type volumes", type={"enum": ["jbod"]}, volumes=_list(_VOLUME)),
    ),
    ("kafka.strimzi.io/v1", "KafkaMirrorMaker2"): _object(
        "target mirrors replicas",
        version=_STRING,
        replicas=_COUNT,
        resources=_ANY,
        target=_object(
            "alias bootstrapServers groupId configStorageTopic offsetStorageTopic statusStorageTopic",
            alias=_STRING,
            bootstrapServers=_STRING,
            groupId=_STRING,
            configStorageTopic=_STRING,
            offsetStorageTopic=_STRING,
            statusStorageTopic=_STRING,
            config=_CONFIG,
            **_ACCESS,
        ),
        mirrors=_list(
            _object(
                "source",
                source=_object("alias bootstrapServers", alias=_STRING, bootstrapServers=_STRING, **_ACCESS),
                topicsPattern=_STRING,
                sourceConnector=_CONNECTOR,
            )
        ),
    ),
    ("clickhouse-keeper.altinity.com/v1", "ClickHouseKeeperInstallation"): _object(
        "configuration",
        configuration=_object(
            "clusters", clusters=_list(_object("name", name=_STRING, layout=_object(replicasCount=_COUNT)))
        ),
        defaults=_object(templates=_TEMPLATES),
        templates=_object(podTemplates=_list(_POD), volumeClaimTemplates=_list(_CLAIM)),
    ),
    ("clickhouse.altinity.com/v1", "ClickHouseInstallation"): _object(
        "configuration",
        defaults=_object(templates=_TEMPLATES, storageManagement=_object(reclaimPolicy={"enum": ["Retain"]})),
        configuration=_object(
            "clusters",
            zookeeper=_object("nodes", nodes=_list(_object("host", host=_STRING, port=_COUNT))),
            users=_ANY,
            profiles=_ANY,
            settings=_ANY,
            files=_ANY,
            clusters=_list(
                _object(
                    "name",
                    name={"type": "string", "pattern": "^[a-zA-Z0-9-]{0,15}$"},
                    secret=_object(auto={"enum": ["True"]}),
                    layout=_object(shardsCount=_COUNT, replicasCount=_COUNT),
                )
            ),
        ),
        templates=_object(podTemplates=_list(_POD), volumeClaimTemplates=_list(_CLAIM)),
    ),
}
