"""Train a model: one loop for every lesson, reproducible, and able to go on after a kill."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pruneedu.checkpoints import identify, load_checkpoint, save_checkpoint
from pruneedu.data import Split
from pruneedu.evaluation import check_split, evaluate
from pruneedu.notebook import in_notebook
from pruneedu.seeds import seed_epoch

sgd = partial(torch.optim.SGD, lr=0.05, momentum=0.9)


class History(NamedTuple):
    """What happened, one entry per epoch.

    Attributes:
        loss: mean training loss, without the penalty.
        validation: accuracy on the validation split; empty where none was given.
        seconds: wall time of the training steps.
    """

    loss: list[float]
    validation: list[float]
    seconds: list[float]


class Fitted(NamedTuple):
    """A trained model in eval mode, and the history of its training."""

    model: nn.Module
    history: History


def constant(progress: float) -> float:
    """Keep the learning rate.

    >>> constant(0.7)
    1.0
    """
    return 1.0


def cosine(progress: float) -> float:
    """Lower the learning rate along half a cosine, from its full value to 0.

    ``factor = (1 + cos(π · progress)) / 2``

    >>> cosine(0.0), round(cosine(0.5), 3), cosine(1.0)
    (1.0, 0.5, 0.0)

    Paper: Loshchilov and Hutter, "SGDR", ICLR 2017.
    """
    return (1 + math.cos(math.pi * progress)) / 2


def fit(
    model: nn.Module,
    train: Split,
    epochs: int,
    *,
    optimizer: Callable = sgd,
    schedule: Callable[[float], float] = constant,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
    penalty: Callable[[nn.Module], Tensor] | None = None,
    batch_size: int = 128,
    after_step: Callable | tuple[Callable, ...] = (),
    after_epoch: Callable[[nn.Module], bool | None] | None = None,
    validation: Split | None = None,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Fitted:
    """Train a copy of a model by gradient descent on shuffled batches.

    ``w ← w - rate · schedule(progress) · ∇_w [ mean_i loss(model(x_i), y_i) + penalty(model) ]``
    for plain SGD; other optimizers use the same gradient.

    Args:
        model: maps x to logits; it stays as it is.
        train: x [N, …] and y [N], on the model's device.
        epochs: passes over the data.
        optimizer: a function of the parameters, such as ``partial(sgd, lr=0.1)``.
        schedule: factor of the learning rate as a function of the progress, which runs in equal
            steps, one a batch, from 0 to just under 1 over all epochs.
        loss: a function of (logits, y of the batch), the mean over its rows.
        penalty: a function of the model, such as ``partial(l1, strength=1e-4)``.
        batch_size: rows per step; the last batch of an epoch may be smaller.
        after_step: called with the model after each optimizer step, for what the step must not
            undo: ``partial(apply_masks_, masks=masks)``. A function or a tuple of functions.
        after_epoch: called with the model after each epoch; returns True to stop.
        validation: evaluated after each epoch.
        patience: stop after this many epochs without a better validation accuracy. The model
            returned is then that of the best epoch, the first of equals.
        checkpoint: a file that is written after each epoch. The same call with the same model
            goes on from it, to the same weights. What callbacks store is not in it.
        seed: every epoch derives its shuffling and its dropout from (seed, epoch), and PyTorch's
            global generators are left as they were. The same seed gives the same bits on the same
            CPU with the same number of threads; some GPU kernels add in changing order.
        progress: show a bar; None shows it in terminals and notebooks only.

    Returns:
        The trained model, in eval mode, and the history.

    Raises:
        ValueError: data that does not fit the model, a checkpoint of another run, or a loss
            that is no longer finite.

    >>> train = Split(x=torch.eye(2).repeat(50, 1), y=torch.tensor([0, 1] * 50))
    >>> trained, history = fit(nn.Linear(2, 2), train, epochs=5, batch_size=10)
    >>> evaluate(trained, train), history.loss[0] > history.loss[-1]
    (1.0, True)
    """
    arguments = {**locals()}
    _check_arguments(model, train, epochs, batch_size, validation, patience)
    model = copy.deepcopy(model)
    optimizer = optimizer(model.parameters())
    after_step = (after_step,) if callable(after_step) else after_step
    history, best, stopped = History([], [], []), {}, False
    if checkpoint:
        run = identify({**arguments, "optimizer": optimizer})
        if saved := load_checkpoint(checkpoint, run):
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            history, best, stopped = History(**saved["history"]), saved["best"], saved["stopped"]
    device = train.x.device
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus), _bar(epochs, progress) as bar:
        while len(history.loss) < epochs and not stopped:
            epoch, started = len(history.loss), time.perf_counter()
            order = torch.randperm(len(train.y), generator=seed_epoch(seed, epoch, device))
            batches = order.to(device).split(batch_size)
            rates = [schedule((epoch + i / len(batches)) / epochs) for i in range(len(batches))]
            steps = zip(batches, rates, strict=True)
            mean = _train_epoch(model, train, steps, optimizer, loss, penalty, after_step)
            history.loss.append(mean)
            history.seconds.append(time.perf_counter() - started)
            # A callback may return something else than a verdict, such as the model.
            stopped = after_epoch is not None and after_epoch(model) in (True,)
            if validation is not None:
                history.validation.append(evaluate(model, validation))
            if patience is not None:
                waited = _epochs_since_best(history.validation)
                best = best if waited else copy.deepcopy(model.state_dict())
                stopped = stopped or waited >= patience
            if checkpoint:
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                state |= {"history": history._asdict(), "best": best, "stopped": stopped}
                save_checkpoint(checkpoint, run, state)
            bar.update()
    model.load_state_dict(best or model.state_dict())
    return Fitted(model.eval(), history)


def _train_epoch(model, train, steps, optimizer, loss, penalty, after_step) -> float:
    """Take one step per (batch of indices, factor of the rate); return the mean loss."""
    model.train()
    total = torch.zeros((), device=train.x.device)
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    for indices, rate in steps:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate
        optimizer.zero_grad()
        data_loss = loss(model(train.x[indices]), train.y[indices])
        objective = data_loss if penalty is None else data_loss + penalty(model)
        objective.backward()
        optimizer.step()
        for function in after_step:
            function(model)
        # The sum stays on the device: reading it at every step would make a GPU wait.
        total.add_(data_loss.detach(), alpha=len(indices))
    mean = total.item() / len(train.y)
    if not math.isfinite(mean):
        rate = optimizer.param_groups[0]["initial_lr"]
        raise ValueError(
            f"the training loss is {mean}, so training diverged; "
            f"lower the learning rate ({rate}), or look for what is not finite in the data"
        )
    return mean


def _epochs_since_best(scores: list[float]) -> int:
    return len(scores) - 1 - scores.index(max(scores))


def _check_arguments(model, train, epochs, batch_size, validation, patience) -> None:
    check_split(train, model)
    if validation is not None:
        check_split(validation, model)
    if patience is not None and validation is None:
        raise ValueError(f"patience is {patience}, but there is no validation split: give one")
    wait = 1 if patience is None else patience
    counts = ("epochs", epochs, 0), ("batch_size", batch_size, 1), ("patience", wait, 1)
    for name, value, least in counts:
        if value < least or value % 1:
            raise ValueError(f"{name} is {value}; give a whole number of at least {least}")


def _bar(epochs: int, progress: bool | None):
    """Make a progress bar that leaves nothing behind when it ends.

    It is text in notebooks too: a widget would be saved, and be an error where it is opened again.
    """
    from tqdm.std import tqdm

    notebook = in_notebook()
    if progress is None:
        progress = notebook or sys.stderr.isatty()
    options = {"desc": "fit", "unit": "epoch", "leave": False, "disable": not progress}
    # In a notebook the standard error has a red background.
    return tqdm(total=epochs, file=sys.stdout if notebook else sys.stderr, **options)
