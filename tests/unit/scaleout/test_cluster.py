"""What is wrong with a cluster is said before Ray tries for minutes."""

import socket

import pytest

from upturn.errors import ConfigError, MissingExtraError
from upturn.scaleout import RayOptions
from upturn.scaleout.cluster import connected, require_ray


def test_a_missing_package_names_the_extra():
    with pytest.raises(MissingExtraError, match=r"\[ray\]") as caught:
        require_ray("no_such_package")
    assert caught.value.fix == "pip install 'upturn[ray]'"


def test_no_cluster_at_the_address_is_told_at_once():
    pytest.importorskip("ray", reason="needs the [ray] extra")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ConfigError, match=f"must answer at {address}") as caught,
            connected(RayOptions(address=address)),
        ):
            pass
    assert caught.value.where == "ray.address"
    assert "ray status" in caught.value.fix


def test_a_remote_client_cannot_keep_the_answers():
    with pytest.raises(ConfigError, match="node of the cluster"):
        RayOptions(address="ray://head:10001")


@pytest.mark.parametrize(
    "wrong", [{"num_cpus_per_task": 0}, {"max_tasks": 0}, {"block_rows": -1}, {"max_retries": -1}]
)
def test_options_are_checked(wrong):
    with pytest.raises(ConfigError, match="numbers must be > 0"):
        RayOptions(**wrong)


def test_a_local_model_gets_the_threads_that_were_set_aside():
    assert RayOptions(num_cpus_per_task=4).threads == 4
    assert RayOptions(num_cpus_per_task=0.5).threads == 1
