"""Chains of layers, for criteria that listen to units: how each is made, and what is heard."""

import pytest

from pruneedu.models import mlp, mnist1d_cnn, small_cnn

# How a network is made, the shape of an example, and for each layer the module that has its last
# word: where its units have passed the normalisation and the activation.
MODELS = {
    "mlp": (lambda: mlp(6, 5, 3), (6,), {"fc1": "relu1", "fc2": "fc2"}),
    "small_cnn": (
        lambda: small_cnn((3, 4), classes=3),
        (1, 8, 8),
        {"conv1": "relu1", "conv2": "relu2", "fc": "fc"},
    ),
    "mnist1d_cnn": (
        lambda: mnist1d_cnn(channels=3, classes=3),
        (40,),
        {"conv1": "relu1", "conv2": "relu2", "conv3": "relu3", "fc": "fc"},
    ),
}
ON_MODELS = pytest.mark.parametrize("model_name", MODELS)
