"""A simulation without Kafka: frames for notebooks, and a folder of files that describes itself."""
