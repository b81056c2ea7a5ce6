"""Rows of the table of metrics, by the process that has them. In: nothing. Out: `Metric`s."""
