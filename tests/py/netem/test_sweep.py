"""A grid of trials on threads, processes and a Dask cluster; failures and Ctrl-C."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from udpcore import netem

GRID = {"clean": {}, "lossy": {"loss": "10%"}, "burst": {"loss": "gemodel 1% 20%"}}


@pytest.fixture
def function(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("sweep_function")


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_the_order_is_that_of_the_grid(threads):
    gate = threading.Event()

    def work(scenario, seed):
        if (scenario, seed) == ("a", 1):
            gate.wait(10)
        elif (scenario, seed) == ("b", 2):
            gate.set()
        return scenario, seed

    found = netem.sweep(work, ["a", "b"], [1, 2], threads)
    assert [trial.result for trial in found] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert [trial.name for trial in found] == ["a", "a", "b", "b"]
    assert found.results() == {"a": [("a", 1), ("a", 2)], "b": [("b", 1), ("b", 2)]}


def test_processes_by_default(function, capsys):
    found = netem.sweep(function.process, GRID, 4, progress=True)
    assert {trial.result for trial in found}.isdisjoint({os.getpid()})
    assert "12 of 12 trials\n" in capsys.readouterr().err


def test_every_executor_finds_the_same(function, threads):
    here = netem.sweep(function.dropped, GRID, 5, threads)
    processes = netem.sweep(function.dropped, GRID, 5)
    assert [t.result for t in here] == [t.result for t in processes]
    assert here.results()["clean"] == [0] * 5
    assert all(here.results()["lossy"])


@pytest.mark.filterwarnings("ignore")
def test_a_local_dask_cluster(threads):
    # Nested, so that it travels by value: the workers cannot import a test.
    def dropped(options, seed):
        from udpcore import netem

        network = netem.Simulator(seed=seed, up=options)
        for _ in range(200):
            network.send("up", b"x")
        return os.getpid(), network.stats().up.dropped["loss"]

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address=None, silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        found = netem.sweep(dropped, GRID, 3, client.get_executor())
    here = netem.sweep(dropped, GRID, 3, threads)
    assert [t.result[1] for t in found] == [t.result[1] for t in here]
    assert os.getpid() not in {t.result[0] for t in found}


def test_a_failure_names_scenario_and_seed_and_ends_nothing(threads):
    def work(scenario, seed):
        if (scenario, seed) == ("b", 7):
            raise ValueError("too late")
        return seed

    found = netem.sweep(work, {"first": "a", "second": "b"}, [6, 7, 8], threads)
    assert repr(found) == "SweepResult(6 trials, 1 failed)"
    assert [t.seed for t in found if t.error is None] == [6, 7, 8, 6, 8]
    with pytest.raises(netem.SweepError, match=r"1 of 6 .*\n  scenario second, seed 7: ValueError"):
        found.check()


def test_many_failures_are_counted(threads):
    def work(_scenario, seed):
        raise OSError(seed, "no")

    found = netem.sweep(work, [None], 9, threads)
    with pytest.raises(netem.SweepError, match=r"and 4 more$") as info:
        found.results()
    assert len(info.value.trials) == 9


def test_progress_tells_each_trial(threads):
    told = []
    netem.sweep(
        lambda _scenario, seed: seed, [None], 3, threads, progress=lambda *n: told.append(n)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_interrupt_gives_up_what_has_not_begun():
    begun = []
    with ThreadPoolExecutor(1) as pool:

        def interrupt(done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            netem.sweep(lambda _s, seed: begun.append(seed), [None], 900, pool, interrupt)
    assert len(begun) < 900


@pytest.mark.parametrize(
    ("scenarios", "seeds", "error", "match"),
    [
        ([], 3, ValueError, "scenarios: none"),
        ([1], 0, ValueError, "seeds: none"),
        ("wifi", 3, TypeError, "a list or a mapping"),
    ],
)
def test_nothing_to_try(scenarios, seeds, error, match):
    with pytest.raises(error, match=match):
        netem.sweep(print, scenarios, seeds)


def test_a_script_needs_no_more_than_the_package(tmp_path):
    script = tmp_path / "grid.py"
    script.write_text(
        "from udpcore import netem\n\n"
        "def sent(options, seed):\n"
        "    network = netem.Simulator(seed=seed, up=options)\n"
        "    network.send('up', b'x')\n"
        "    return network.stats().up.received\n\n"
        "if __name__ == '__main__':\n"
        "    print(netem.sweep(sent, {'wifi': {'loss': '1%'}}, 4).results())\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "{'wifi': [1, 1, 1, 1]}\n"
