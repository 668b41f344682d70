"""The package's names: nothing shadows the standard module, nothing is imported unasked."""

import pkgutil
import socket
import subprocess
import sys

import udpcore


def test_no_submodule_bears_a_name_of_the_standard_module():
    submodules = {module.name for module in pkgutil.iter_modules(udpcore.__path__)}
    assert submodules & set(dir(socket)) == set()


def test_all_lists_no_submodule():
    submodules = {module.name for module in pkgutil.iter_modules(udpcore.__path__)}
    assert submodules & set(udpcore.__all__) == set()


def test_every_name_of_all_is_there():
    for name in udpcore.__all__:
        assert hasattr(udpcore, name), name


def test_importing_the_package_imports_no_tool():
    script = "import sys, udpcore; print([m for m in sys.modules if m.startswith('udpcore.')])"
    shown = subprocess.check_output([sys.executable, "-c", script], text=True)
    for name in ("cli", "netem", "dns", "reliable", "pytest_plugin"):
        assert f"udpcore.{name}" not in shown
