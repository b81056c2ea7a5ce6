"""Raw captures of topics: `quetma record`."""
