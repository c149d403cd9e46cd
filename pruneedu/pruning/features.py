"""Features: score the inputs from the data alone, before there is a network to prune."""

from __future__ import annotations

import numpy as np
import torch

from pruneedu.data import Split
from pruneedu.tensors import Scores


def mutual_information_of_inputs(data: Split, seed: int = 0) -> Scores:
    """Score each input by what it alone tells about the class: a filter, without any model.

    score[j] = I(x_j; y) = H(y) - H(y | x_j), in nats

    Estimated from the distances to the 3 nearest neighbours of the same class, so nothing is
    binned; a class with a single example is left out. Of two inputs that say the same, both score
    high.

    Args:
        data: x [N, …] and y [N]; an example is flattened to its inputs.
        seed: of the tiny noise that tells equal values apart.

    Returns:
        {"input": [inputs]}, at least 0.

    Raises:
        ValueError: no labels, a single class, NaN or infinity.

    Source: Ross, "Mutual information between discrete and continuous data sets", 2014; the
    estimator of scikit-learn.

    >>> x = torch.tensor([[0.0, 3.0], [0.1, 1.0], [0.2, 2.0], [0.3, 4.0]])
    >>> data = Split(torch.cat([x, x + torch.tensor([5.0, 0.0])]), torch.arange(8) // 4)
    >>> mutual_information_of_inputs(data)["input"] > 0.3
    tensor([ True, False])
    """
    from sklearn.feature_selection import mutual_info_classif

    return _scores(mutual_info_classif(*_inputs(data), random_state=seed), data)


def tree_importance(data: Split, seed: int = 0) -> Scores:
    """Score each input by how much its splits in a decision tree sort the classes.

    score[j] = Σ over the splits on x_j of (share of the examples) · (fall of the Gini impurity),
    divided by the sum over all inputs

    The tree grows until its leaves are pure. An input that it never asks for scores exactly 0; of
    two inputs that say the same, it may ask for one and leave the other.

    Args:
        data: x [N, …] and y [N]; an example is flattened to its inputs.
        seed: of the order in which equally good splits are tried.

    Returns:
        {"input": [inputs]}, which sum to 1.

    Raises:
        ValueError: no labels, a single class, NaN or infinity.

    Source: Breiman et al., "Classification and regression trees", 1984.

    >>> data = Split(torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), torch.tensor([0, 0, 1]))
    >>> tree_importance(data)
    {'input': tensor([0., 1.])}
    """
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(random_state=seed).fit(*_inputs(data))
    return _scores(tree.feature_importances_, data)


def svm_weight(data: Split, strength: float = 1.0) -> Scores:
    """Score each input by its weights in a linear support vector machine.

    score[j] = √(Σ_c v[c, j]²), v[c] separates class c from the rest

    A weight has the unit of 1 / x_j: where the numbers of an input are a thousand times as large,
    its score is about a thousandth. Bring inputs without a common unit to one scale first.

    Args:
        data: x [N, …] and y [N]; an example is flattened to its inputs.
        strength: of the loss against the size of the weights, often called C; above 0.

    Returns:
        {"input": [inputs]}.

    Raises:
        ValueError: no labels, a single class, NaN or infinity, a strength that is not above 0.

    Source: Guyon et al., "Gene selection for cancer classification using support vector machines",
    2002, without their elimination in rounds.

    >>> data = Split(torch.tensor([[1.0, 0.5], [-1.0, 0.5]]), torch.tensor([1, 0]))
    >>> scores = svm_weight(data)["input"]
    >>> bool(scores[0] > 0.5), bool(scores[1] < 0.01)
    (True, True)
    """
    from sklearn.svm import LinearSVC

    if not strength > 0:
        raise ValueError(f"strength is {strength}: give a number above 0")
    # The primal problem draws no random numbers, so there is no seed.
    machine = LinearSVC(C=strength, dual=False, max_iter=10_000).fit(*_inputs(data))
    return _scores(np.linalg.norm(machine.coef_, axis=0), data)


def _inputs(data: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the examples as rows of inputs [N, inputs] and the labels [N], or raise."""
    labels = 0 if data.y is None else len(data.y)
    if len(data.x) != labels:
        raise ValueError(f"the data have {len(data.x)} examples and {labels} labels: give as many")
    if (classes := len(data.y.unique())) < 2:
        raise ValueError(f"the labels name {classes} of at least 2 classes that are needed")
    if not data.x.isfinite().all():
        raise ValueError("the inputs hold NaN or infinity: a score needs finite numbers")
    return data.x.flatten(1).cpu().numpy(), data.y.cpu().numpy()


def _scores(values: np.ndarray, data: Split) -> Scores:
    """Return one score per input, where the data are and in their dtype."""
    return {"input": torch.from_numpy(np.asarray(values)).to(data.x)}
