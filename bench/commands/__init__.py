"""What each command takes: a file of its name; what it does is imported when it is run."""
