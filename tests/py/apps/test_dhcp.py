"""DHCP against dnsmasq, in a network namespace of its own; and what is missing without rights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lan import INTERFACE, Lan, run

DNSMASQ = [
    "dnsmasq",
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--port=0",
    f"--interface={INTERFACE}",
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


@contextmanager
def dnsmasq(network: Lan, *more: str) -> Iterator[None]:
    """A DHCP server on side b, which only is looked at: nobody asks it for a lease."""
    process = network.start("b", *DNSMASQ, *more, stderr=subprocess.PIPE)
    assert process.stderr
    for line in process.stderr:
        if "IP range" in line:
            break
    yield
    process.terminate()
    log = process.stderr.read()
    assert "DHCPOFFER" in log
    # Whoever only looks takes nothing.
    assert "DHCPREQUEST" not in log
    assert "DHCPACK" not in log


def dhcp(network: Lan, timeout: str) -> list[dict[str, object]]:
    """What the command says on side a, which has no address yet."""
    words = [sys.executable, "-m", "udpcore", "dhcp", "--timeout", timeout, "--json"]
    process = network.start("a", *words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    offers: list[dict[str, object]] = json.loads(process.communicate(timeout=60)[0])
    return offers


def test_an_offer_of_dnsmasq_becomes_values():
    with Lan(addresses=False) as network, dnsmasq(network):
        offers = dhcp(network, "3")
    assert len(offers) == 1
    offer = offers[0]
    assert offer["interface"] == INTERFACE
    assert str(offer["address"]).startswith("198.51.100.")
    assert 50 <= int(str(offer["address"]).rpartition(".")[2]) <= 60
    assert offer["server"] == "198.51.100.2"
    assert offer["subnet_mask"] == "255.255.255.0"
    assert offer["routers"] == ["198.51.100.1"]
    assert offer["name_servers"] == ["198.51.100.53", "198.51.100.54"]
    assert offer["lease_s"] == 7200
    assert offer["domain"] == "example.test"
    assert offer["mtu"] == 1400


def test_through_the_bad_network_the_offer_comes_all_the_same():
    """What the user sees: the question is asked again each second, an offer heard twice is one."""
    with Lan(addresses=False, loss="10%", duplicate="5%", reorder="5%", seed="7") as network:
        with dnsmasq(network):
            offers = dhcp(network, "6")
        assert {offer["server"] for offer in offers} == {"198.51.100.2"}


def test_every_interface_is_asked_and_an_offer_says_on_which_it_came():
    """Two wires to two networks of one server; a third interface where nobody answers."""
    second = ["--interface=eth1", "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,1h"]
    with Lan(addresses=False) as network:
        a, b = network.names["a"], network.names["b"]
        wire = ["link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns", b]
        run("ip", "-n", a, *wire)
        run("ip", "-n", a, "link", "add", "quiet0", "type", "veth", "peer", "name", "quiet1")
        for side, interface in ((a, "eth1"), (b, "eth1"), (a, "quiet0")):
            run("ip", "-n", side, "link", "set", interface, "up")
        run("ip", "-n", b, "address", "add", "192.0.2.2/24", "dev", "eth1")
        with dnsmasq(network, *second):
            offers = dhcp(network, "4")
    found = {str(offer["interface"]): offer for offer in offers}
    assert set(found) == {INTERFACE, "eth1"}
    assert (found["eth1"]["server"], found["eth1"]["lease_s"]) == ("192.0.2.2", 3600)
    assert str(found["eth1"]["address"]).startswith("192.0.2.")
    assert found[INTERFACE]["server"] == "198.51.100.2"


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
    assert "CAP_NET_BIND_SERVICE to hear offers on port 68" in done.stderr
    assert "CAP_NET_RAW" not in done.stderr


def test_an_interface_that_does_not_exist_is_said():
    from udpcore.apps import dhcp_discover

    with pytest.raises(OSError, match="no Ethernet interface nowhere0"):
        dhcp_discover("nowhere0", timeout=0.1)
