"""The one exception a user is meant to see."""


class BenchError(Exception):
    """Something the user can mend; its text is one line that names the file, row or option, and the mend.

    The command line prints it on standard error and exits with status 2. File names and prompts in it are untrusted:
    what a terminal would obey (escape sequences, line ends) is taken out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class WriteError(BenchError):
    """A file could not be written: the disk is full, a folder is read-only."""


def printable(text: str) -> str:
    """Return ``text`` on one line, without characters that a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))
