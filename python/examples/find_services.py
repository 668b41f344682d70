"""Two services announce themselves, a third program finds them. `python find_services.py [PORT]`"""

import sys
import threading

from udpcore.apps import ServiceDiscovery

PORT = int(sys.argv[1]) if sys.argv[1:] else 37021

services = [ServiceDiscovery(PORT), ServiceDiscovery(PORT)]
infos = [{"name": "web", "port": 80}, {"name": "printer", "colour": True}]
threads = [
    threading.Thread(target=service.announce_service, args=(info,))
    for service, info in zip(services, infos, strict=True)
]
for thread in threads:
    thread.start()
for found in ServiceDiscovery(PORT).discover_services(timeout=1.0):
    print(found["address"], found["info"])
for service, thread in zip(services, threads, strict=True):
    service.close()
    thread.join()
