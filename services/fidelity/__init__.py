"""Whether what was simulated is what the scenario intends: see docs/fidelity.md."""
