"""The one exception a user is meant to see."""


class BenchError(Exception):
    """Something the user can mend; its text is one line that names the file, row or option, and the mend.

    The command line prints it on standard error and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
