"""What becomes of records between source and target. In: frames of records. Out: frames of records."""
