"""The one exception that is meant for the reader of the book rather than for its programmers."""


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one sentence: which file or key, what is wrong with it, and what to do.
    """
