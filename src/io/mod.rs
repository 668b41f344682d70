//! Floor 4: the only place with sockets, threads and a clock.
