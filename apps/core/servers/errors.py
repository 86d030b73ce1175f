"""What goes wrong with private servers."""


class ServerError(RuntimeError):
    """A private server cannot be found, made, started or stopped; the text says what to do."""
