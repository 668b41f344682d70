"""Type checkers see at least what typeshed says about `socket`, with types as precise."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mypy
import pytest

TYPESHED = Path(mypy.__file__).parent / "typeshed" / "stdlib"
PLATFORM = "linux"

PROGRAM = """
import io
from typing import Any, assert_type
import udpcore as socket

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
assert_type(s.family, socket.AddressFamily)
assert_type(s.type, socket.SocketKind)
assert_type(s.recv(10), bytes)
assert_type(s.recv_into(bytearray(1)), int)
assert_type(s.recvfrom(10), tuple[bytes, Any])
assert_type(s.recvmsg(10)[1], list[tuple[int, int, bytes]])
assert_type(s.getsockopt(1, 2), int)
assert_type(s.getsockopt(1, 2, 8), bytes)
assert_type(s.gettimeout(), float | None)
assert_type(s.accept(), tuple[socket.socket, Any])
assert_type(s.dup(), socket.socket)
assert_type(s.makefile(), io.TextIOWrapper)
assert_type(s.makefile("rb", 0), socket.SocketIO)
assert_type(socket.socketpair(), tuple[socket.socket, socket.socket])
assert_type(socket.create_server(("", 0)), socket.socket)
assert_type(socket.getaddrinfo("x", 1)[0][0], socket.AddressFamily)
assert_type(socket.gethostname(), str)
assert_type(socket.CMSG_LEN(4), int)
assert_type(socket.has_ipv6, bool)
with socket.socket() as inner:
    assert_type(inner, socket.socket)
    inner.sendmsg([b"a", bytearray(b"b")], [(1, 1, b"x")])
    inner.setsockopt(1, 2, b"x")
try:
    s.connect(("x", 1))
except socket.timeout as error:
    assert_type(error, TimeoutError)
"""


def holds(test: ast.expr) -> bool:
    """Whether a condition of typeshed holds for this interpreter on Linux."""
    names = {"sys.platform": PLATFORM, "sys.version_info": sys.version_info}
    source = ast.unparse(test)
    for name, value in names.items():
        shown = tuple(value[:2]) if name == "sys.version_info" else value
        source = source.replace(name, repr(shown))
    return bool(eval(source, {"__builtins__": {}}))


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that count, those behind conditions included."""
    for node in body:
        if isinstance(node, ast.If):
            yield from statements(node.body if holds(node.test) else node.orelse)
        else:
            yield node


def names(body: list[ast.stmt]) -> set[str]:
    """The public names that a stub's statements define or re-export."""
    found: set[str] = set()
    for node in statements(body):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
            case ast.ImportFrom(names=aliases):
                found.update(alias.asname for alias in aliases if alias.asname == alias.name)
    return {name for name in found if not name.startswith("_")}


def class_names(stub: str, name: str) -> set[str]:
    body = ast.parse((TYPESHED / stub).read_text()).body
    [found] = [
        node for node in statements(body) if isinstance(node, ast.ClassDef) and node.name == name
    ]
    return names(found.body)


def complaints(source: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "program.py"
        program.write_text(source)
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--platform", PLATFORM, str(program)],
            capture_output=True,
            text=True,
            check=False,
            cwd=directory,
        )
    return done.stdout.replace("Success: no issues found in 1 source file\n", "") + done.stderr


@pytest.mark.timeout(180)
def test_every_name_of_typeshed_is_known() -> None:
    body = ast.parse((TYPESHED / "socket.pyi").read_text()).body
    module = names(body)
    methods = class_names("_socket.pyi", "socket") | class_names("socket.pyi", "socket")
    files = class_names("socket.pyi", "SocketIO")
    assert len(module) > 350
    assert {"recvmsg_into", "makefile", "sendmsg_afalg"} <= methods
    lines = ["import udpcore", "def check(s: udpcore.socket, f: udpcore.SocketIO) -> None:"]
    lines += [f"    udpcore.{name}" for name in sorted(module)]
    lines += [f"    s.{name}" for name in sorted(methods)]
    lines += [f"    f.{name}" for name in sorted(files)]
    assert complaints("\n".join(lines)) == ""


@pytest.mark.timeout(180)
def test_types_are_precise() -> None:
    assert complaints(PROGRAM) == ""
