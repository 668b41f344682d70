"""The frame of the ``udpcore`` command: verbs, help, wrong words, exit codes."""

import subprocess
import sys

import pytest


def udpcore(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "udpcore", *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_without_a_verb_the_overview_goes_to_standard_error():
    run = udpcore()
    assert (run.returncode, run.stdout) == (2, "")
    assert "netem" in run.stderr


def test_help_lists_every_verb():
    run = udpcore("--help")
    assert run.returncode == 0
    for verb in ("demo", "dns", "netem"):
        assert f"  {verb}" in run.stdout


@pytest.mark.parametrize("verb", ["demo", "dns", "netem"])
def test_every_verb_explains_itself(verb):
    run = udpcore(verb, "--help")
    assert run.returncode == 0, run.stderr
    assert "usage" in run.stdout.lower()


def test_the_version_is_the_package_version():
    from importlib.metadata import version

    assert udpcore("--version").stdout == f"udpcore {version('udpcore')}\n"


def test_an_unknown_verb_names_the_nearest():
    run = udpcore("netm")
    assert (run.returncode, run.stdout) == (2, "")
    assert "did you mean 'netem'?" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo",), "FILE"),
        (("demo", "no-such-file"), "no-such-file"),
        (("demo", "--sed", "1", sys.executable), "did you mean '--seed'?"),
        (("demo", "--seed", "x", sys.executable), "'x'"),
        (("demo", "--name-server", "127.0.0.1:70000", sys.executable), "70000"),
        (("demo", "--name-server", "127.0.0.1:53", sys.executable), "--names"),
        (("dns", "example.com", "AAAX"), "did you mean"),
        (("netem",), ""),
    ],
)
def test_wrong_arguments_are_explained_with_exit_code_2(words, said):
    run = udpcore(*words)
    assert (run.returncode, run.stdout) == (2, ""), run.stderr
    assert said in run.stderr
    assert "Traceback" not in run.stderr
