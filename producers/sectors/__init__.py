"""One module per way of paying, all of one shape: see `producers.sectors.sector`."""
