"""Where data lies: the folder in PRUNEEDU_DATA, the user's cache, the package itself."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parent


def searched() -> list[Path]:
    """Return the folders that may hold published files: PRUNEEDU_DATA if set, then the cache.

    Raises:
        FileNotFoundError: PRUNEEDU_DATA names something that is not a folder.
    """
    given = os.environ.get("PRUNEEDU_DATA")
    if not given:
        return [cache()]
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"PRUNEEDU_DATA is {given!r}, which is not a folder: "
            "correct the variable, or unset it to use the cache alone."
        )
    return [folder, cache()]


def cache() -> Path:
    """Return the user's cache folder of data, which may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("pruneedu", appauthor=False) / "data"


def locate(file: str) -> Path | None:
    """Return the path of `file` ("MNIST/raw/…") in the first folder that has it."""
    return next((at / file for at in [*searched(), PACKAGE] if (at / file).is_file()), None)
