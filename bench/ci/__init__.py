"""The gate in continuous integration: two versions of a repository, annotations, JUnit, comments, pytest."""
