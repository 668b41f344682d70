"""The ``udpcore`` command: one verb, one file.

Rules of this package:

* a verb is a module with ``main(prog, argv) -> int``, and a line in ``_main.VERBS``;
* results go to standard output, words for people to standard error;
* exit codes: 0 ok, 1 expectation failed, 2 usage, 130 Ctrl-C;
* nobody imports ``udpcore.cli`` but the console scripts.
"""

from udpcore.cli._main import main, netem_main

__all__ = ["main", "netem_main"]
