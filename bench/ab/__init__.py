"""``bench ab``: two versions of the code timed in turns on one machine, and whether the second is slower."""
