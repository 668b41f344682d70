"""The tutorials' applications, working for real: echo, discovery, video, games, voice, metrics.

Every class has the name, the methods and the defaults of the tutorials, and speaks their wire
formats, so that a tutorial's own script is a valid peer. Each module also runs by itself
(``python -m udpcore.apps.echo --help``) and as a verb of the command (``udpcore echo --help``).

Classes log through :mod:`logging` and print only with ``verbose=True``; they are context managers.

>>> from udpcore.apps import UDPEchoClient, UDPEchoServer
>>> with UDPEchoServer("127.0.0.1", 0) as server:
...     server.start()
...     with UDPEchoClient("127.0.0.1", server.port) as client:
...         client.send_message("hello")
'ECHO: hello'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from udpcore.apps.dhcp import DhcpOffer, dhcp_discover
    from udpcore.apps.discovery import ServiceDiscovery
    from udpcore.apps.echo import UDPEchoClient, UDPEchoServer, udp_client, udp_server
    from udpcore.apps.game import GameClient, GameServer
    from udpcore.apps.game_events import GameEventRelay, GameEvents
    from udpcore.apps.metrics import MetricsClient, MetricsServer
    from udpcore.apps.multicast import (
        join_group,
        leave_group,
        multicast_receiver,
        multicast_sender,
    )
    from udpcore.apps.multicast_video import MulticastVideoReceiver, MulticastVideoStreamer
    from udpcore.apps.rate import RateLimitedUDPSender
    from udpcore.apps.rtt import RttReport, rtt_client
    from udpcore.apps.safe import (
        path_mtu,
        probe_path_mtu,
        receive_large_udp,
        send_large_udp,
        send_safe_udp,
    )
    from udpcore.apps.tcp_echo import TCPEchoClient, TCPEchoServer
    from udpcore.apps.video import VideoReceiver, VideoStreamer
    from udpcore.apps.voip import VoIPClient

__all__ = [
    "DhcpOffer",
    "GameClient",
    "GameEventRelay",
    "GameEvents",
    "GameServer",
    "MetricsClient",
    "MetricsServer",
    "MulticastVideoReceiver",
    "MulticastVideoStreamer",
    "RateLimitedUDPSender",
    "RttReport",
    "ServiceDiscovery",
    "TCPEchoClient",
    "TCPEchoServer",
    "UDPEchoClient",
    "UDPEchoServer",
    "VideoReceiver",
    "VideoStreamer",
    "VoIPClient",
    "dhcp_discover",
    "join_group",
    "leave_group",
    "multicast_receiver",
    "multicast_sender",
    "path_mtu",
    "probe_path_mtu",
    "receive_large_udp",
    "rtt_client",
    "send_large_udp",
    "send_safe_udp",
    "udp_client",
    "udp_server",
]

_MODULES = {
    "dhcp": ["DhcpOffer", "dhcp_discover"],
    "discovery": ["ServiceDiscovery"],
    "echo": ["UDPEchoClient", "UDPEchoServer", "udp_client", "udp_server"],
    "game": ["GameClient", "GameServer"],
    "game_events": ["GameEventRelay", "GameEvents"],
    "metrics": ["MetricsClient", "MetricsServer"],
    "multicast": ["join_group", "leave_group", "multicast_receiver", "multicast_sender"],
    "multicast_video": ["MulticastVideoReceiver", "MulticastVideoStreamer"],
    "rate": ["RateLimitedUDPSender"],
    "rtt": ["RttReport", "rtt_client"],
    "safe": ["path_mtu", "probe_path_mtu", "receive_large_udp", "send_large_udp", "send_safe_udp"],
    "tcp_echo": ["TCPEchoClient", "TCPEchoServer"],
    "video": ["VideoReceiver", "VideoStreamer"],
    "voip": ["VoIPClient"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import an application when it is asked for: `python -m` wants them unimported."""
    if name not in _HOME:
        raise AttributeError(f"module 'udpcore.apps' has no attribute {name!r}")
    return getattr(importlib.import_module(f"udpcore.apps.{_HOME[name]}"), name)
