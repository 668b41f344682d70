//! Floor 3: the tutorials' reliability as readable sans-IO machines.
