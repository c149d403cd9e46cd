"""Whether what is shown is shown in a notebook."""

import sys


def in_notebook() -> bool:
    """Whether an IPython kernel runs this; it cannot be so if IPython was never imported.

    >>> in_notebook()
    False
    """
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
