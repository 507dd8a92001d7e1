"""The command line and the harness: suite -> plan -> rows -> store -> table."""
