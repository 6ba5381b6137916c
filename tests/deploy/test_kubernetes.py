"""deploy/kubernetes: kubectl builds it, the schemas of Kubernetes take it, its parts fit, and it may do nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.config import load_config
from tests.support.daemon_process import autoscaler
from tests.support.dockerfile import last
from tests.support.environments import DEPLOY_TOOLS
from tests.test_docs import resolved

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
SECRETS = "/run/secrets/autoscaler"
VERSIONS = ("1.30", "1.34", "1.37")
"""The oldest that a cloud may still run, to the newest that there is a schema of."""


@pytest.fixture(scope="module")
def built() -> str:
    """All manifests, as kubectl would send them."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    return subprocess.run(["kubectl", "kustomize", MANIFESTS], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def kinds(built: str) -> dict[str, dict[str, Any]]:
    """Each object by its kind, of which there is one."""
    return {each["kind"]: each for each in yaml.safe_load_all(built)}


@pytest.fixture
def pod(kinds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    template: dict[str, Any] = kinds["Deployment"]["spec"]["template"]
    return template


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_of_kubernetes_take_it(built: str, version: str, tmp_path: Path) -> None:
    DEPLOY_TOOLS.require()
    (file := tmp_path / "built.yaml").write_text(built)
    command = [str(DEPLOY_TOOLS.home / "bin" / "kubernetes-validate"), "--strict", "-k", version, str(file)]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_two_daemons_share_the_work_and_one_always_stays(kinds: dict[str, dict[str, Any]]) -> None:
    spec = kinds["Deployment"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert kinds["PodDisruptionBudget"]["spec"]["minAvailable"] == 1


def test_everything_that_selects_pods_selects_these(kinds: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    labels = pod["metadata"]["labels"].items()
    selectors = [kinds[kind]["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")]
    selectors += [kinds["Service"]["spec"]["selector"], kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]]
    selectors += [each["labelSelector"]["matchLabels"] for each in pod["spec"]["topologySpreadConstraints"]]
    assert all(selector and selector.items() <= labels for selector in selectors)


def test_a_pod_is_restricted_as_far_as_kubernetes_knows(pod: dict[str, Any]) -> None:
    spec, [container] = pod["spec"], pod["spec"]["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}" == last("USER")
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not spec["automountServiceAccountToken"]
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert all(mount["readOnly"] for mount in container["volumeMounts"] if mount["name"] != "tmp")


def test_secrets_come_as_files_and_none_stands_here(built: str, pod: dict[str, Any]) -> None:
    [container] = pod["spec"]["containers"]
    assert "env" not in container
    [mount] = [each for each in container["volumeMounts"] if each["mountPath"] == SECRETS]
    [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "autoscaler"
    assert "kind: Secret" not in built


def test_the_daemon_takes_its_configuration_and_its_command_line(
    kinds: dict[str, dict[str, Any]], pod: dict[str, Any], tmp_path: Path
) -> None:
    [container] = pod["spec"]["containers"]
    command, words = resolved(list(container["args"]))
    file = command.make_context("run", words).params["file"]
    [mount] = [each for each in container["volumeMounts"] if each["mountPath"] == str(file.parent)]
    [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == mount["name"]]
    assert volume["configMap"]["name"] == kinds["ConfigMap"]["metadata"]["name"]

    text = kinds["ConfigMap"]["data"][file.name].replace(SECRETS, str(tmp_path))
    for name in ("redis", "token"):
        (tmp_path / name).write_text("0123456789abcdef")
    (tmp_path / "fleet.yaml").write_text(text)
    checked = autoscaler("check", tmp_path / "fleet.yaml", env={"PATH": os.environ["PATH"]})
    assert (checked.returncode, checked.stderr) == (0, "")

    [port] = container["ports"]
    http = load_config(text, {}).http
    assert str(http.listen) == f"0.0.0.0:{port['containerPort']}"
    assert f"{kinds['Service']['metadata']['name']}.default.svc" in http.hosts
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
        assert container[probe]["httpGet"]["path"] in ("/healthz", "/readyz")
    assert kinds["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]


def test_a_pod_reaches_names_redis_and_the_internet_and_nothing_else(kinds: dict[str, dict[str, Any]]) -> None:
    policy = kinds["NetworkPolicy"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    dns, redis, internet = policy["egress"]
    assert {each["port"] for each in dns["ports"]} == {53}
    assert {each["port"] for each in redis["ports"]} == {6379}
    [block] = internet["to"]
    assert "169.254.0.0/16" in block["ipBlock"]["except"], "the cloud's metadata service hands out keys"
