"""The machine's own settings: resolv.conf, hosts, the search list."""

from __future__ import annotations

from pathlib import Path

import pytest

from udpcore import dns
from udpcore.dns import _resolving, _system


def test_resolv_conf(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1 ; why\nnameserver 192.0.2.3\n"
        "nameserver 192.0.2.4\ndomain old.example\nsearch a.example. b.example\n"
        "options ndots:99 timeout:0 attempts:3 rotate ndots:x\nnameserver\nrubbish\n",
        encoding="utf-8",
    )
    system = _system.read_system(str(path))
    assert system.servers == ("192.0.2.1", "2001:db8::1", "192.0.2.3")
    assert system.search == ("a.example", "b.example")
    assert (system.ndots, system.timeout, system.attempts) == (15, 1.0, 3)
    assert _system.read_system(str(tmp_path / "none")) == _system.System()


def test_candidates() -> None:
    system = _system.System(search=("corp.example",), ndots=2)
    assert system.candidates("www") == ["www.corp.example", "www"]
    assert system.candidates("www.x") == ["www.x.corp.example", "www.x"]
    assert system.candidates("www.x.y") == ["www.x.y", "www.x.y.corp.example"]
    assert system.candidates("www.") == ["www."]


def test_hosts(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(
        "127.0.0.1 localhost\n192.0.2.7 Box box.example # mine\n192.0.2.8 box\nnonsense box\n"
        "2001:db8::7 box\n",
        encoding="utf-8",
    )
    assert _system.addresses_from_hosts("BOX.", "A", str(path)) == ["192.0.2.7", "192.0.2.8"]
    assert _system.addresses_from_hosts("box", "AAAA", str(path)) == ["2001:db8::7"]
    assert _system.addresses_from_hosts("box", "MX", str(path)) == []
    assert _system.addresses_from_hosts("other", "A", str(path)) == []
    assert _system.addresses_from_hosts("x.localhost", "A", str(path)) == ["127.0.0.1"]


def test_the_search_list_is_used(nsd: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    system = _system.System(servers=(nsd[0],), search=("sub.example.test", "example.test"))
    monkeypatch.setattr(_resolving, "read_system", lambda: system)
    assert dns.resolve("mail", port=nsd[1]) == ["192.0.2.25"]
    with pytest.raises(dns.NoDataError):
        # It exists below example.test, which says more than NXDOMAIN elsewhere.
        dns.resolve("ns1", "MX", port=nsd[1])
    with pytest.raises(dns.RefusedError):
        dns.resolve("nowhere.invalid", port=nsd[1])
