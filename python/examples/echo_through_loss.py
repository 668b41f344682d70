"""An echo server, a client, and between them a link that loses every fifth datagram.

The client asks again until it is answered: count how often. `python echo_through_loss.py`
"""

from udpcore import netem
from udpcore.apps import UDPEchoClient, UDPEchoServer

with UDPEchoServer("127.0.0.1", 0) as server:
    server.start()
    with netem.Proxy(("127.0.0.1", server.port), loss="20%", delay="5ms", seed=7) as link:
        with UDPEchoClient(*link.address, timeout=0.1, retries=20) as client:
            for number in range(20):
                print(client.send_message(f"message {number}"))
        print(
            "asked", link.stats().up.received, "times; the server heard", server.stats["received"]
        )
