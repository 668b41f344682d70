"""DHCP against dnsmasq, in a network namespace of its own; and what is missing without rights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

NAMESPACE = f"udpcore-dhcp-{os.getpid()}"


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.fixture
def network() -> Iterator[str]:
    """Two namespaces with a wire between; a DHCP server in one; yields the other's name."""
    server = NAMESPACE + "-server"
    run("ip", "netns", "add", NAMESPACE)
    run("ip", "netns", "add", server)
    try:
        ends = ["peer", "name", "there", "netns", server]
        run("ip", "link", "add", "here", "netns", NAMESPACE, "type", "veth", *ends)
        run("ip", "-n", NAMESPACE, "link", "set", "here", "up")
        run("ip", "-n", server, "addr", "add", "198.51.100.1/24", "dev", "there")
        run("ip", "-n", server, "link", "set", "there", "up")
        dnsmasq = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--interface=there",
            "--leasefile-ro",
            "--no-ping",
            "--user=root",
            "--pid-file=",
            "--log-facility=-",
            "--log-dhcp",
            "--domain=example.test",
            "--dhcp-range=198.51.100.50,198.51.100.60,255.255.255.0,2h",
            "--dhcp-option=option:router,198.51.100.1",
            "--dhcp-option=option:dns-server,198.51.100.53,198.51.100.54",
            "--dhcp-option=option:mtu,1400",
        ]
        words = ["ip", "netns", "exec", server, *dnsmasq]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            for line in process.stderr:
                if "IP range" in line:
                    break
            yield NAMESPACE
            process.terminate()
            log = process.stderr.read()
        assert "DHCPOFFER" in log
        # Whoever only looks takes nothing.
        assert "DHCPREQUEST" not in log
        assert "DHCPACK" not in log
    finally:
        run("ip", "netns", "del", NAMESPACE)
        run("ip", "netns", "del", server)


def test_an_offer_of_dnsmasq_becomes_values(network):
    command = [sys.executable, "-m", "udpcore", "dhcp", "--timeout", "4", "--json"]
    offers = json.loads(run("ip", "netns", "exec", network, *command))
    assert len(offers) == 1
    offer = offers[0]
    assert offer["interface"] == "here"
    assert offer["address"].startswith("198.51.100.")
    assert 50 <= int(offer["address"].rpartition(".")[2]) <= 60
    assert offer["server"] == "198.51.100.1"
    assert offer["subnet_mask"] == "255.255.255.0"
    assert offer["routers"] == ["198.51.100.1"]
    assert offer["name_servers"] == ["198.51.100.53", "198.51.100.54"]
    assert offer["lease_s"] == 7200
    assert offer["domain"] == "example.test"
    assert offer["mtu"] == 1400


def test_without_rights_it_says_which_are_missing():
    code = "from udpcore.apps import dhcp_discover; dhcp_discover(timeout=0.1)"
    namespace = ["unshare", "--net", "sh", "-c"]
    script = (
        "ip link add here type veth peer name there; ip link set here up; "
        f"exec setpriv --bounding-set=-all --inh-caps=-all {sys.executable} -c '{code}'"
    )
    done = subprocess.run([*namespace, script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "PermissionError" in done.stderr
    assert "CAP_NET_BIND_SERVICE" in done.stderr


def test_an_interface_that_does_not_exist_is_said():
    from udpcore.apps import dhcp_discover

    with pytest.raises(OSError, match="no Ethernet interface nowhere0"):
        dhcp_discover("nowhere0", timeout=0.1)
