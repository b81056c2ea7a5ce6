"""From payments on Kafka to adoption: check, drop duplicates, fold into cells, emit. Pure folds, wired by Faust."""
