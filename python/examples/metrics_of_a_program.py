"""A program that counts what it does, and the server that adds it up.

`python metrics_of_a_program.py`
"""

import threading
import time

from udpcore.apps import MetricsClient, MetricsServer

with MetricsServer(0, host="127.0.0.1") as server:
    thread = threading.Thread(target=server.run)
    thread.start()
    with MetricsClient("127.0.0.1", server.port, prefix="demo.") as client:
        for number in range(100):
            client.increment("requests", tags={"code": "200" if number % 10 else "500"})
            client.timing("latency", number % 7)
            client.gauge("queue", number)
        while server.stats["lines"] < 300:
            time.sleep(0.01)
    print("counters", server.counters)
    print("gauges  ", server.gauges)
    print("timers  ", server.flush()["timers"]["demo.latency"])
    server.running = False
    thread.join()
