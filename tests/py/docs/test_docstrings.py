"""Every example in a docstring of the package runs and shows what it says."""

import doctest
import importlib
import pkgutil

import pytest

import udpcore

FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE
#: Importing these runs the command.
NOT_IMPORTED = {"udpcore.__main__"}


def modules() -> list[str]:
    found = pkgutil.walk_packages(udpcore.__path__, prefix="udpcore.")
    return ["udpcore", *sorted({module.name for module in found} - NOT_IMPORTED)]


@pytest.mark.parametrize("name", modules())
def test_examples(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=FLAGS)
    assert results.failed == 0


def test_the_public_modules_have_examples():
    finder = doctest.DocTestFinder()
    for name in ("udpcore", "udpcore.netem", "udpcore.reliable", "udpcore.dns"):
        tests = finder.find(importlib.import_module(name))
        assert any(test.examples for test in tests), f"{name} shows no example"
