"""Two players and a server: each hears where the other is. `python game_of_two.py`"""

import math
import threading
import time

from udpcore.apps import GameClient, GameServer

with GameServer(0, host="127.0.0.1") as server:
    thread = threading.Thread(target=server.run)
    thread.start()
    place = ("127.0.0.1", server.port)
    with GameClient(place, "anna") as anna, GameClient(place, "bert") as bert:
        for step in range(40):
            anna.send_position(math.cos(step / 20), math.sin(step / 20))
            bert.send_position(float(step), 0.0)
            time.sleep(0.025)
        print("anna sees", anna.other_players, "smoothed", anna.interpolated())
        print("bert sees", bert.other_players, "smoothed", bert.interpolated())
    server.running = False
    thread.join()
    print(server.stats)
