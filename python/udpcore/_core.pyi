"""The Rust core of udpcore; private: use the modules of :mod:`udpcore`."""

__version__: str
