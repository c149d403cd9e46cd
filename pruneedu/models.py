"""The small networks that the course compresses: plain functions that return `nn.Sequential`.

Each layer has a name (`fc1`, `conv1`, `bn1`), and each model knows how it was made:
`model.architecture` is its name and its configuration, plain data, so that a model can travel as
`architecture` plus state dict and be made again by `build`.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from torch import nn


def mlp(*sizes: int) -> nn.Sequential:
    """Return fully connected layers with ReLU between them; the input is flattened.

    Args:
        sizes: the number of inputs, of units per hidden layer, and of classes.

    Returns:
        A model from [N, ...] to [N, classes] with layers fc1, fc2, …

    Raises:
        ValueError: fewer than two sizes, or one that is not a positive integer.

    >>> mlp(64, 32, 10)
    Sequential(
      (flatten): Flatten(start_dim=1, end_dim=-1)
      (fc1): Linear(in_features=64, out_features=32, bias=True)
      (relu1): ReLU()
      (fc2): Linear(in_features=32, out_features=10, bias=True)
    )
    """
    return _named(_dense(sizes), "mlp", sizes=sizes)


def lenet_300_100(inputs: int = 784, classes: int = 10) -> nn.Sequential:
    """Return LeNet-300-100: 266,200 weights and 410 biases for MNIST.

    Args:
        inputs: values per example, after flattening.
        classes: number of classes.

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.

    >>> sum(p.numel() for p in lenet_300_100().parameters())
    266610
    """
    return _named(
        _dense((inputs, 300, 100, classes)), "lenet_300_100", inputs=inputs, classes=classes
    )


def lenet5(classes: int = 10) -> nn.Sequential:
    """Return the LeNet-5 that the pruning papers use: Caffe's, for [N, 1, 28, 28].

    As in Caffe, only fc1 is followed by a ReLU.

    Source: LeCun et al. 1998; Caffe's `examples/mnist/lenet.prototxt`.

    >>> sum(p.numel() for p in lenet5().parameters())
    431080
    """
    layers = [
        ("conv1", nn.Conv2d(1, 20, 5)),
        ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(20, 50, 5)),
        ("pool2", nn.MaxPool2d(2)),
        *_dense((800, 500, classes)),
    ]
    return _named(layers, "lenet5", classes=classes)


def small_cnn(
    channels: tuple[int, ...] = (16, 32, 64), classes: int = 10, inputs: int = 1
) -> nn.Sequential:
    """Return blocks of convolution, batch normalisation and ReLU, with pooling between them.

    The average over all positions comes before the last layer, so images of any size fit.

    Args:
        channels: output channels of each block.
        classes: number of classes.
        inputs: channels of the images: 1 for grey, 3 for colour.

    Returns:
        A model from [N, inputs, H, W] to [N, classes] with layers conv1, bn1, …, fc.

    Raises:
        ValueError: no channels, or one that is not a positive integer.

    >>> [name for name, _ in small_cnn((4, 8)).named_children()][:5]
    ['conv1', 'bn1', 'relu1', 'pool1', 'conv2']
    """
    channels = tuple(channels)
    _check_sizes(channels, 1)
    layers = []
    for i, (before, after) in enumerate(pairwise((inputs, *channels)), 1):
        layers += [
            # The normalisation subtracts the mean, so a bias of the convolution would do nothing.
            (f"conv{i}", nn.Conv2d(before, after, 3, padding=1, bias=False)),
            (f"bn{i}", nn.BatchNorm2d(after)),
            (f"relu{i}", nn.ReLU()),
            (f"pool{i}", nn.MaxPool2d(2)),
        ]
    layers[-1] = ("pool", nn.AdaptiveAvgPool2d(1))
    layers += [("flatten", nn.Flatten()), ("fc", nn.Linear(channels[-1], classes))]
    return _named(layers, "small_cnn", channels=channels, classes=classes, inputs=inputs)


def mnist1d_mlp(hidden: int = 100, classes: int = 10) -> nn.Sequential:
    """Return the fully connected network of MNIST-1D, for [N, 40].

    The original adds the output of fc1 to that of fc2; this one is a plain chain.

    Source: Greydanus and Kobak, "Scaling down deep learning with MNIST-1D", 2024.

    >>> sum(p.numel() for p in mnist1d_mlp().parameters())
    15210
    """
    layers = _dense((40, hidden, hidden, classes))
    return _named(layers, "mnist1d_mlp", hidden=hidden, classes=classes)


def mnist1d_cnn(channels: int = 25, classes: int = 10) -> nn.Sequential:
    """Return the convolutional network of MNIST-1D, for [N, 40].

    Three convolutions of stride 2 take 40 positions to 19, 10 and 5.

    Source: Greydanus and Kobak, "Scaling down deep learning with MNIST-1D", 2024.

    >>> sum(p.numel() for p in mnist1d_cnn().parameters())
    5210
    """
    layers = [("unflatten", nn.Unflatten(1, (1, 40)))]
    for i, (before, size) in enumerate([(1, 5), (channels, 3), (channels, 3)], 1):
        convolution = nn.Conv1d(before, channels, size, stride=2, padding=1)
        layers += [(f"conv{i}", convolution), (f"relu{i}", nn.ReLU())]
    layers += [("flatten", nn.Flatten()), ("fc", nn.Linear(5 * channels, classes))]
    return _named(layers, "mnist1d_cnn", channels=channels, classes=classes)


def build(name: str, **config) -> nn.Sequential:
    """Make a model from its `architecture`, with fresh weights.

    Args:
        name: the name of a function of this module.
        config: its arguments; `sizes` for `mlp`.

    Raises:
        ValueError: a name that this module does not have.

    >>> name, config = small_cnn((4, 8)).architecture
    >>> build(name, **config).architecture == (name, config)
    True
    """
    makers = {
        "mlp": lambda sizes: mlp(*sizes),
        "lenet_300_100": lenet_300_100,
        "lenet5": lenet5,
        "small_cnn": small_cnn,
        "mnist1d_mlp": mnist1d_mlp,
        "mnist1d_cnn": mnist1d_cnn,
    }
    if name not in makers:
        raise ValueError(f"there is no model {name!r}: choose one of {', '.join(makers)}")
    return makers[name](**config)


def _dense(sizes: tuple[int, ...]) -> list[tuple[str, nn.Module]]:
    """Return named layers: flatten, fc1, relu1, fc2, … without a ReLU at the end."""
    _check_sizes(sizes, 2)
    layers = [("flatten", nn.Flatten())]
    for i, (before, after) in enumerate(pairwise(sizes), 1):
        layers += [(f"fc{i}", nn.Linear(before, after)), (f"relu{i}", nn.ReLU())]
    return layers[:-1]


def _check_sizes(sizes: tuple[int, ...], least: int) -> None:
    """Raise unless there are enough sizes, each a positive integer."""
    if len(sizes) < least or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"the sizes are {sizes}: give at least {least}, each a positive integer")


def _named(layers: list[tuple[str, nn.Module]], name: str, **config) -> nn.Sequential:
    """Return the layers as one model that remembers how it was made."""
    model = nn.Sequential(OrderedDict(layers))
    model.architecture = (name, config)
    return model
