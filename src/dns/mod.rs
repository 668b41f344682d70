//! Floor 3: DNS messages and the stub resolver as sans-IO machines.
