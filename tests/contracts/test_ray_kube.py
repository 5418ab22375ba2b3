"""The manifest for Kubernetes holds what the API takes, and what the page says of it."""

from __future__ import annotations

import copy
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from upturn import __version__

ROOT = Path(__file__).parents[2]
DOCUMENTS = list(yaml.safe_load_all((ROOT / "docs" / "kuberay.yaml").read_text()))


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
FLAG = {"type": "boolean"}
COUNT = {"type": "integer", "minimum": 0}
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
QUANTITY = {"type": "string", "pattern": "^[0-9.]+(m|[KMGT]i?)?$"}
QUANTITIES = {"type": "object", "additionalProperties": QUANTITY}
METADATA = closed({"name": NAME, "namespace": NAME, "labels": TEXTS, "annotations": TEXTS}, "name")

# Kubernetes core v1, as far as a manifest of ours may go.
REFERENCE = closed({"name": NAME, "optional": FLAG}, "name")
SECURITY = closed({"runAsNonRoot": FLAG, "runAsUser": COUNT, "fsGroup": COUNT})
CONTAINER = closed(
    {
        "name": NAME,
        "image": TEXT,
        "env": {"type": "array", "items": closed({"name": TEXT, "value": TEXT}, "name", "value")},
        "envFrom": {
            "type": "array",
            "items": closed({"secretRef": REFERENCE, "configMapRef": REFERENCE}),
        },
        "ports": {
            "type": "array",
            "items": closed({"containerPort": COUNT, "name": NAME}, "containerPort"),
        },
        "resources": closed({"requests": QUANTITIES, "limits": QUANTITIES}),
        "volumeMounts": {
            "type": "array",
            "items": closed(
                {"name": NAME, "mountPath": TEXT, "readOnly": FLAG}, "name", "mountPath"
            ),
        },
    },
    "name",
    "image",
    "resources",
)
POD = closed(
    {
        "metadata": closed({"labels": TEXTS, "annotations": TEXTS}),
        "spec": closed(
            {
                "securityContext": SECURITY,
                "serviceAccountName": NAME,
                "terminationGracePeriodSeconds": COUNT,
                "nodeSelector": TEXTS,
                "containers": {"type": "array", "items": CONTAINER, "minItems": 1},
                "volumes": {
                    "type": "array",
                    "items": closed(
                        {
                            "name": NAME,
                            "persistentVolumeClaim": closed({"claimName": NAME}, "claimName"),
                        },
                        "name",
                    ),
                },
            },
            "containers",
        ),
    },
    "spec",
)
CLAIM = closed(
    {
        "apiVersion": {"const": "v1"},
        "kind": {"const": "PersistentVolumeClaim"},
        "metadata": METADATA,
        "spec": closed(
            {
                "accessModes": {
                    "type": "array",
                    "items": {"enum": ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]},
                    "minItems": 1,
                },
                "resources": closed({"requests": QUANTITIES}, "requests"),
                "storageClassName": NAME,
            },
            "accessModes",
            "resources",
        ),
    },
    "apiVersion",
    "kind",
    "metadata",
    "spec",
)

# The fields of ray.io/v1 (KubeRay's API reference), with its enumerations.
CLUSTER = closed(
    {
        "rayVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "suspend": FLAG,
        "managedBy": TEXT,
        "authOptions": closed({"mode": {"enum": ["token", "disabled"]}, "secretName": NAME}),
        "enableInTreeAutoscaling": FLAG,
        "autoscalerOptions": closed(
            {
                "version": {"enum": ["v1", "v2"]},
                "idleTimeoutSeconds": COUNT,
                "upscalingMode": {"enum": ["Default", "Aggressive", "Conservative"]},
                "resources": closed({"requests": QUANTITIES, "limits": QUANTITIES}),
            }
        ),
        "headServiceAnnotations": TEXTS,
        "headGroupSpec": closed(
            {
                "rayStartParams": TEXTS,
                "template": POD,
                "enableIngress": FLAG,
                "serviceType": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
            },
            "template",
        ),
        "workerGroupSpecs": {
            "type": "array",
            "items": closed(
                {
                    "groupName": NAME,
                    "replicas": COUNT,
                    "minReplicas": COUNT,
                    "maxReplicas": COUNT,
                    "numOfHosts": COUNT,
                    "idleTimeoutSeconds": COUNT,
                    "rayStartParams": TEXTS,
                    "template": POD,
                },
                "groupName",
                "minReplicas",
                "maxReplicas",
                "template",
            ),
        },
    },
    "headGroupSpec",
)
JOB = closed(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": METADATA,
        "spec": closed(
            {
                "entrypoint": TEXT,
                "runtimeEnvYAML": TEXT,
                "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
                "backoffLimit": COUNT,
                "activeDeadlineSeconds": {"type": "integer", "minimum": 1},
                "ttlSecondsAfterFinished": COUNT,
                "shutdownAfterJobFinishes": FLAG,
                "suspend": FLAG,
                "jobId": TEXT,
                "entrypointNumCpus": {"type": "number"},
                "entrypointNumGpus": {"type": "number"},
                "rayClusterSpec": CLUSTER,
            },
            "entrypoint",
            "rayClusterSpec",
        ),
    },
    "apiVersion",
    "kind",
    "metadata",
    "spec",
)
SCHEMAS = {"PersistentVolumeClaim": CLAIM, "RayJob": JOB}


def job() -> dict[str, Any]:
    return copy.deepcopy(next(d for d in DOCUMENTS if d["kind"] == "RayJob"))


def containers() -> list[dict[str, Any]]:
    spec = job()["spec"]["rayClusterSpec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [c for group in groups for c in group["template"]["spec"]["containers"]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d["kind"])
def test_the_api_takes_it(document):
    jsonschema.validate(document, SCHEMAS[document["kind"]])


def test_there_is_a_job_and_what_it_mounts():
    assert [d["kind"] for d in DOCUMENTS] == ["PersistentVolumeClaim", "RayJob"]
    (volume,) = job()["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == DOCUMENTS[0]["metadata"]["name"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda j: j["spec"].pop("entrypoint"),
        lambda j: j["spec"]["rayClusterSpec"].pop("headGroupSpec"),
        lambda j: j["spec"]["rayClusterSpec"]["headGroupSpec"].pop("template"),
        lambda j: j["spec"]["rayClusterSpec"]["workerGroupSpecs"][0].pop("groupName"),
        lambda j: j["spec"]["rayClusterSpec"].update(rayVersion=2.6),
        lambda j: j["spec"]["rayClusterSpec"].update(authentication={}),
        lambda j: j["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update(x=0),
        lambda j: j["spec"].update(backoffLimit="2"),
    ],
)
def test_the_check_is_strict(spoil):
    broken = job()
    spoil(broken)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, JOB)


def test_all_nodes_have_one_image_of_this_release():
    assert {c["image"].rpartition(":")[2] for c in containers()} == {__version__}
    assert len({c["image"] for c in containers()}) == 1


def test_every_node_has_the_key_and_none_has_it_in_the_manifest():
    assert all(c["envFrom"] == [{"secretRef": {"name": "upturn-keys"}}] for c in containers())
    names = {e["name"] for c in containers() for e in c.get("env", [])}
    assert not any("KEY" in name or "TOKEN" in name for name in names)


def test_ray_is_the_version_that_is_tested_and_wants_a_token():
    pins = (ROOT / "constraints.txt").read_text().split()
    spec = job()["spec"]["rayClusterSpec"]
    assert f"ray=={spec['rayVersion']}" in pins
    assert spec["authOptions"] == {"mode": "token"}


def test_no_rows_run_where_the_turn_runs():
    head = job()["spec"]["rayClusterSpec"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"


def test_the_command_is_one_of_ours():
    command = shlex.split(job()["spec"]["entrypoint"])
    assert command[:2] == ["upturn", "run"]
    (mount,) = containers()[0]["volumeMounts"]
    assert (ROOT / Path(command[2]).relative_to(mount["mountPath"])).is_file()
    assert command[3:] == ["executor=ray", "ray.address=auto"]
