"""Where records come from. In: files, topics, scenarios. Out: `producers.load.parts.Source`s."""
