"""The gate: two runs compared, a verdict on each row, thresholds, baselines."""
