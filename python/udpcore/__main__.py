"""``python -m udpcore`` is the ``udpcore`` command."""

import sys

from udpcore.cli import main

sys.exit(main())
