"""The few things that every other folder may import: errors, the registry, files and weights."""
