"""Where records go. In: records that are due. Out: requests to systems under test, and their outcomes."""
