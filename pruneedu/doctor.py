"""What the course finds on this machine, and how to mend what is wrong."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("pruneedu", "torch", "torchvision", "numpy", "matplotlib", "jupyterlab", "ipywidgets")
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"


def report() -> int:
    """Print the versions, the device, the data and the grader's isolation, then what to mend.

    Returns:
        0, or 1 when there is something to mend.
    """
    for name, value in [*versions(), *surroundings()]:
        print(f"{name:<14} {value}")
    fault = torchvision_fault()
    if fault:
        print(f"\ntorchvision cannot be imported: {fault}\n{mend()}")
    return 1 if fault else 0


def versions() -> list[tuple[str, str]]:
    """Return the versions of Python, of the system and of the main packages."""
    rows = [("Python", platform.python_version()), ("system", platform.platform())]
    for package in PACKAGES:
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, f"missing: {sys.executable} -m pip install {package}"))
    return rows


def surroundings() -> list[tuple[str, str]]:
    """Return the device, the data sets that load without a download, and the isolation."""
    import torch

    from pruneedu.grading import isolation

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [
        ("CPU", f"{torch.get_num_threads()} threads, of which a lesson takes one"),
        ("CUDA", ", ".join(gpus) or "none; every lesson runs on the CPU"),
        *_data(),
        ("grading", isolation.available() or "each submission in its own namespaces"),
    ]


def _data() -> list[tuple[str, str]]:
    from pruneedu import data

    try:
        return [(name, f"data, {place}") for name, place in data.found().items()]
    except FileNotFoundError as error:
        return [("data", str(error))]


def torchvision_fault() -> str:
    """Return why torchvision cannot be imported, or an empty string when it can."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return str(error)
    return ""


def mend() -> str:
    """Return the commands that install torch and torchvision again, from one source.

    The two are compiled for each other: a CPU-only torch under a torchvision that was built for
    CUDA, or the reverse, fails with `operator torchvision::nms does not exist`.
    """
    pip = f"{sys.executable} -m pip"
    return "\n".join(
        (
            "torch and torchvision must come from one source. Remove both:",
            f"  {pip} uninstall --yes torch torchvision",
            "then install both, for the CPU only:",
            f"  {pip} install torch torchvision --index-url {CPU_BUILDS}",
            "or, on Linux with CUDA:",
            f"  {pip} install torch torchvision",
        )
    )
