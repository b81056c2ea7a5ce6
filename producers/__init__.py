"""From a scenario to acknowledged records: simulation (pure), sectors, wire encoding, pacing, publishing."""
