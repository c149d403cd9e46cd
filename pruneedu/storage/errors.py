"""The one error of whoever reads a file that this library did not write, or not quite."""

from __future__ import annotations


class DamagedFile(ValueError):  # noqa: N818 (it names what the reader holds in hand)
    """A file that is damaged, cut short, of another kind, or that lies about what it holds.

    >>> raise DamagedFile("the file ends after 3 bytes")
    Traceback (most recent call last):
    pruneedu.storage.errors.DamagedFile: the file ends after 3 bytes
    """
