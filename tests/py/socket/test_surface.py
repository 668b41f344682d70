"""The module offers every name of the standard one, and the submodules hide none of them."""

from __future__ import annotations

import ast
import pickle
import pkgutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import udpcore


def test_every_name_of_the_standard_module_is_there() -> None:
    assert set(dir(socket)) - set(dir(udpcore)) == set()
    assert set(socket.__all__) <= set(udpcore.__all__)
    methods = {name for name in dir(socket.socket) if not name.startswith("__")}
    assert methods - set(dir(udpcore.socket)) == set()


def test_constants_and_enums_are_the_standard_ones() -> None:
    for name in dir(socket):
        value = getattr(socket, name)
        if isinstance(value, int):
            assert getattr(udpcore, name) == value
            assert type(getattr(udpcore, name)) is type(value)


def test_exceptions_are_the_standard_ones() -> None:
    assert udpcore.timeout is TimeoutError
    assert udpcore.error is OSError
    assert udpcore.gaierror is socket.gaierror
    assert udpcore.herror is socket.herror


def test_star_import_gives_everything_listed() -> None:
    names: dict[str, object] = {}
    exec("from udpcore import *", names)
    assert set(udpcore.__all__) <= set(names)


def test_no_submodule_bears_a_standard_name() -> None:
    submodules = {module.name for module in pkgutil.iter_modules(udpcore.__path__)}
    assert submodules & set(dir(socket)) == set()
    assert submodules & set(udpcore.__all__) == set()
    assert udpcore._SUBMODULES & set(dir(socket)) == set()


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_thing'"):
        _ = udpcore.no_such_thing


def test_linux_constants_the_standard_module_lacks() -> None:
    assert (udpcore.UDP_SEGMENT, udpcore.UDP_GRO) == (103, 104)
    assert (udpcore.IP_MTU_DISCOVER, udpcore.IP_RECVERR) == (10, 11)
    assert (udpcore.SO_TIMESTAMPNS, udpcore.SO_RXQ_OVFL) == (35, 40)


def test_the_stub_lists_the_constants_of_this_interpreter() -> None:
    stub = Path(udpcore.__file__).with_name("_constants.pyi").read_text()
    listed: set[str] = set()

    def visit(statements: list[ast.stmt]) -> None:
        for node in statements:
            if isinstance(node, ast.ImportFrom) and node.module == "socket":
                listed.update(alias.name for alias in node.names)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                listed.add(node.target.id)
            elif isinstance(node, ast.If):
                wanted = ast.literal_eval(node.test.comparators[0])  # type: ignore[attr-defined]
                if sys.version_info >= wanted:
                    visit(node.body)

    visit(ast.parse(stub).body)
    constants = {name for name in socket.__all__ if name[0].isupper() and name.isupper()}
    assert constants - {"CMSG_LEN", "CMSG_SPACE"} <= listed


def test_import_is_quick() -> None:
    code = "import time, sys; t = time.process_time(); import {}; "
    code += "sys.stdout.write(str(time.process_time() - t))"

    def seconds(module: str) -> float:
        command = [sys.executable, "-c", code.format(module)]
        return min(
            float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(5)
        )

    assert seconds("udpcore") - seconds("socket") < 0.040


def test_sockets_do_not_pickle() -> None:
    with udpcore.socket() as one, pytest.raises(TypeError, match="cannot pickle 'socket' object"):
        pickle.dumps(one)
