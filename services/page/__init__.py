"""The live page and its API: what is on the topics, pushed to browsers; what operators ask for, put on a topic."""
