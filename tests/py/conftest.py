"""What all areas share: the tools of tests/tools are importable, and Ctrl-C means Ctrl-C."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

# A shell starts background jobs with SIGINT ignored, and programs started by the tests would
# inherit that: they could not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)
