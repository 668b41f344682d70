"""The UDP toolkit for Python: sockets, reliability, DNS, and a network that misbehaves on command.

``import udpcore as socket`` mirrors the standard :mod:`socket` module.
"""

from udpcore._core import __version__ as __version__
