# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 Gradients: is a small weight with a large gradient important?
#
# Lesson 02 cut the small weights and never asked the loss. But suppose that a weight is small, and
# the loss around it is steep: its gradient is large. *Is it safe to cut that weight because it is
# small, or must it stay because the loss cares?*
#
# In this lesson you measure what really happens when a weight goes, and you let gradients predict
# it: raw, squared, and multiplied by the weight, before training and after it.
#
# You need lesson 02. Time: 30 minutes to read and run, and 65 for the five exercises. Computing:
# about half a minute.

# %%
from functools import partial

import pruneedu as pe
import torch
from pruneedu import plotting
from pruneedu.course import Lesson
from pruneedu.data import Split
from pruneedu.training import cosine, sgd
from torch.nn.functional import cosine_similarity, cross_entropy

lesson = Lesson("03")
yours = lesson.yours  # your functions once they pass, the library's until then
epochs, rounds, seeds = lesson.budget(epochs=60, rounds=12, seeds=3)

# %% [markdown]
# ## The network
#
# The data are MNIST-1D: signals of 40 numbers, in ten classes that take after the shapes of the
# digits. They are computed on your machine, which takes some seconds the first time. We train on
# 1,500 of them. (A `Split` is a pair: the inputs `x` of some examples and their classes `y`.) The
# network is so small that you can take away each of its weights in turn and measure the damage.
# That is the judge of this lesson, and no criterion can argue with it.

# %%
data = pe.load("mnist1d")
train = Split(data.train.x[:1500], data.train.y[:1500])
signals = {f"class {c}": (range(40), train.x[train.y == c][0]) for c in (1, 7)}
plotting.show(plotting.curves(signals, "position", "signal"))


# %% [markdown]
# We train it once for each seed, and we look at several moments. Each moment is a training run of
# its own, from the first step until the learning rate has come down to zero.


# %%
def trained_for(epochs, seed):
    pe.seed_everything(seed)  # the initial weights
    how = {"optimizer": partial(sgd, lr=0.1), "schedule": cosine, "batch_size": 64}
    model = pe.models.mlp(40, 20, 10)
    return pe.fit(model, train, epochs, seed=seed, progress=False, **how).model


# %%
moments = sorted({round(epochs * part) for part in (0, 0.05, 0.2, 1)})
networks = {moment: [trained_for(moment, seed) for seed in range(seeds)] for moment in moments}
trained = networks[epochs]
print(f"{sum(w.numel() for w in pe.prunable(trained[0]).values()):,} weights that can be pruned")

# %% [markdown]
# ## Your guess
#
# The gradient of a weight says how fast the mean loss over the training examples changes when the
# weight moves. Take its size, and the size of the weight, in a trained network. Do they rank the
# 1,000 weights alike?
#
# The *rank correlation* says how alike two rankings are: 1 for the same order, -1 for the reversed
# one, 0 where one tells you nothing about the other. **What is it for size and gradient?**

# %%
my_guess = 0.5  # your guess: between -1 and 1


# %%
def mean_gradient(model, data):
    """Return the gradient of the mean loss for each weight."""
    weights = pe.prunable(model)
    loss = cross_entropy(model(data.x), data.y)
    return dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


def size_of_gradient(model):
    return {name: g.abs() for name, g in mean_gradient(model, train).items()}


# %%
def in_a_row(scores):
    return torch.cat([score.flatten() for score in scores.values()])


def agreement(scores, others):
    return pe.rank_correlation(scores, others).spearman


# %% tags=["nbval-ignore-output"]
alike = [agreement(pe.magnitude(model), size_of_gradient(model)) for model in trained]
said = f"Measured: {sum(alike) / seeds:.2f} ({min(alike):.2f} to {max(alike):.2f} over the seeds)."
lesson.reveal(my_guess, said)

# %% [markdown]
# Where two rankings differ they cannot both be right. We need a judge.
#
# ## Exercise 1: take one weight away
#
# What a criterion wants to predict is simple to say: set this weight to zero, leave all others as
# they are, and see how much the loss rises. Measure it for every weight. It takes one pass over the
# data for each of them, so it is out of the question for a large network. For ours it is not.

# %% exercise="loss_increase"
from pruneedu.course.lessons.lesson_03.loss_without import loss_increase

# %%
lesson.check(loss_increase)


# %%
def scored(criterion):
    """Return the scores of all networks: moment -> [one dict for each seed]."""
    return {moment: [criterion(model) for model in networks[moment]] for moment in moments}


rises = scored(partial(yours.loss_increase, data=train))

# %% tags=["nbval-ignore-output"]
for moment in moments:
    falls = [100 * (in_a_row(rise) < 0).float().mean().item() for rise in rises[moment]]
    print(f"epoch {moment:2}: {sum(falls) / seeds:.0f} % of the weights do harm")

# %% [markdown]
# A weight does harm if the loss falls without it. Before training that is a matter of chance, and
# training puts it right. From here on the **truth** is the size of the change, up or down: a weight
# that does harm does something, too.

# %%
truth = {
    moment: [{name: rise.abs() for name, rise in one.items()} for one in rises[moment]]
    for moment in moments
}

# %% [markdown]
# ## The answer to the question
#
# Each point is a weight of the first network. To the right the weights are large, further up their
# gradients are. The brighter the point, the more the loss changes without it. **Before you read on:
# does it get brighter to the right, or upwards?**

# %% tags=["nbval-ignore-output"]
shown = pe.magnitude(trained[0]), size_of_gradient(trained[0]), truth[epochs][0]
rows = torch.stack([in_a_row(scores) for scores in shown])
rows = rows[:, (rows > 0).all(0)]  # a zero has no logarithm
names = ("size of the weight", "size of its gradient", "change of the loss without it")
plotting.show(plotting.scatter(*rows, names))

# %% [markdown]
# Now count. Take the weights that are small (the lowest third) and have a large gradient (the
# highest third), and the weights in the opposite corner.


# %%
def corner(seed, small, large):
    """Return the mean change of the loss where one criterion is low and another high: thirds."""
    low, high = (in_a_row(criterion(trained[seed])) for criterion in (small, large))
    chosen = (low < low.quantile(1 / 3)) & (high > high.quantile(2 / 3))
    return in_a_row(truth[epochs][seed])[chosen].mean().item()


# %% tags=["nbval-ignore-output"]
size, pull = pe.magnitude, size_of_gradient
corners = {
    "small weight, large gradient": [corner(seed, size, pull) for seed in range(seeds)],
    "large weight, small gradient": [corner(seed, pull, size) for seed in range(seeds)],
}
plotting.show(plotting.bars(corners, "mean change of the loss without the weight"))

# %% [markdown]
# That is the answer for the trained network: look at how far apart the bars are. A small weight
# with a large gradient is safe to cut, and a large weight with a small gradient is not. The
# gradient, which is what training is made of, says hardly anything. Was that always so?


# %%
def agreements(scores):
    """Return the rank correlation with the truth: one row a seed, one column a moment."""
    pairs = [zip(scores[moment], truth[moment], strict=True) for moment in moments]
    return torch.tensor([[agreement(*pair) for pair in column] for column in pairs]).T


# %% tags=["nbval-ignore-output"]
found = {"size": agreements(scored(size)), "raw gradient": agreements(scored(pull))}
lines = {name: (moments, rows) for name, rows in found.items()}
axes = ("epochs of training", "rank correlation with the truth")
plotting.show(plotting.curves(lines, *axes))

# %% [markdown]
# Before the first step the gradient is the better witness of the two. Training turns that round:
# the better the network, the less its gradients say about it.
#
# ## Why: a price, a distance, and a minimum
#
# Taylor's series says what happens to the loss when a weight moves by $\Delta$:
#
# $$L(w + \Delta) - L(w) = g\,\Delta + \tfrac{1}{2} h\,\Delta^2 + \dots$$
#
# Here $g = \partial L / \partial w$ is the slope and $h$ is the curvature. To remove a weight means
# $\Delta = -w$, so
#
# $$L(\text{without } w) - L = -g\,w + \tfrac{1}{2} h\,w^2 + \dots$$
#
# There are two things to see. First, $g$ is a **price for each unit of movement**, and a small
# weight moves by little. Second, training goes on until the slope is gone: **at a minimum $g$ is
# zero** for each weight, important or not. What is left of it is noise of the last steps.
#
# Look at how it goes. Below, the training set is cut in two, and each half has a mean gradient of
# its own. Their cosine is 1 where the halves ask for the same change, and -1 where what one half
# asks for is exactly what the other refuses.

# %% tags=["nbval-ignore-output"]
halves = [Split(train.x[i::2], train.y[i::2]) for i in (0, 1)]


def cosine_of_halves(model):
    one, other = (in_a_row(mean_gradient(model, half)) for half in halves)
    return cosine_similarity(one, other, dim=0).item()


cosines = torch.tensor([[cosine_of_halves(m) for m in networks[n]] for n in moments]).T
plotting.show(plotting.curves({"cosine": (moments, cosines)}, axes[0], "cosine of the halves"))

# %% [markdown]
# At first the two halves ask for much the same. In the end they still pull, but against each other,
# and little of the sum is left.
#
# ## Exercise 2: square first, then add
#
# If signs make the gradients cancel, take the signs away before you add:
#
# $$\text{score}(w) = \sum_i \left( \frac{\partial L_i}{\partial w} \right)^2$$
#
# $L_i$ is the loss of one example. So you need the gradient of each example on its own, and
# `backward()` on a batch has added them up already.
#
# Under *Raises* the docstrings say what the library refuses. The checks of this lesson ask for none
# of it: write for good input.

# %% exercise="gradient"
from pruneedu.pruning.criteria import gradient

# %%
lesson.check(gradient)

# %%
lesson.source("gradient")

# %% [markdown]
# The library has no loop over the examples. For a fully connected layer, the gradient of one
# example is a product of two numbers: what comes into the weight, and what comes back to its unit.
# The square of a product is the product of the squares, so one matrix product adds up all of them,
# and no gradient of a single example is ever stored.
#
# Now compare how the two develop: the gradient of the mean loss, and the root mean square of what
# single examples ask for. Both are shown as multiples of what they were before training.


# %%
squares = scored(partial(yours.gradient, data=train))


def lengths(scores, norm):
    """Return a length for each network, as a multiple of its start: one row a seed."""
    values = torch.tensor([[norm(in_a_row(one)) for one in scores[n]] for n in moments])
    return (values / values[0]).T


# %% tags=["nbval-ignore-output"]
lines = {
    "gradient of the mean loss": (moments, lengths(scored(pull), torch.norm)),
    "gradients of single examples": (moments, lengths(squares, lambda row: row.sum().sqrt())),
}
plotting.show(plotting.curves(lines, axes[0], "length, as a multiple of the start"))

# %% [markdown]
# The first shrinks to a small part and the second grows: there is a lot of pull in a trained
# network. Does it rank the weights any better, then?

# %% tags=["nbval-ignore-output"]
found["squares"] = agreements(squares)
for name in ("raw gradient", "squares"):
    end = found[name][:, -1]
    print(f"{name}: {end.mean():.2f} with the truth ({end.min():.2f} to {end.max():.2f})")

# %% [markdown]
# If you expected more of the squares, so did we. They no longer cancel, but they still are prices
# without a distance. How much does each of the two differ from weight to weight?


# %% tags=["nbval-ignore-output"]
def spread(numbers):
    """Return the ratio of the 90th to the 10th percentile."""
    return (numbers.quantile(0.9) / numbers.quantile(0.1)).item()


distances, prices = in_a_row(size(trained[0])), in_a_row(squares[epochs][0]).sqrt()
print(f"distances, |w|: a ratio of {spread(distances):.1f}")
print(f"prices, the root of Σ g²: a ratio of {spread(prices):.1f}")

# %% [markdown]
# The ratio is that of the 90th to the 10th percentile. Distances differ far more than prices, so
# they decide. That is why lesson 02 went so well without asking the loss at all.
#
# ## Exercise 3: a price times a distance
#
# Put both together. To first order:
#
# $$\text{score}(w) = \left| w \cdot \frac{\partial L}{\partial w} \right|$$
#
# with $L$ the mean loss over all examples, however they come in batches.

# %% exercise="taylor"
from pruneedu.pruning.criteria import taylor

# %%
lesson.check(taylor)

# %%
lesson.source("taylor")

# %% [markdown]
# ## Exercise 4: what remains at a minimum
#
# At a minimum the first term of the series is gone, and $\tfrac{1}{2} h\,w^2$ is all there is. The
# curvature $h$ is costly to compute. The mean of the squared gradients stands in for it: the
# *Fisher information*. The two are close where the predictions fit the labels. Elsewhere that is a
# bet, and you have a judge. The squares you have from exercise 2:
#
# $$\text{score}(w) = w^2 \cdot \frac{1}{N} \sum_i
# \left( \frac{\partial L_i}{\partial w} \right)^2$$

# %% exercise="fisher"
from pruneedu.pruning.criteria import fisher

# %%
lesson.check(fisher)

# %%
lesson.source("fisher")

# %% [markdown]
# ### Which one knows the truth?
#
# Five criteria and the control. **Which has the highest rank correlation with the truth in the
# trained networks?**

# %%
my_guess = "taylor"  # your guess: "size", "raw gradient", "squares", "taylor", "fisher"

# %%
found["taylor"] = agreements(scored(partial(yours.taylor, data=train)))
found["fisher"] = agreements(scored(partial(yours.fisher, data=train)))
found["random"] = agreements(scored(pe.random))

# %% tags=["nbval-ignore-output"]
before, after = (max(found, key=lambda name: found[name][:, at].mean()) for at in (0, -1))
said = f"Before training it is {before}, after training it is {after}."
figure = plotting.curves({name: (moments, rows) for name, rows in found.items()}, *axes)
figure.axes[0].legend(frameon=False, ncols=2, loc=(0.4, 0.46))
lesson.reveal(my_guess, said, figure)

# %% [markdown]
# Read the figure from left to right. *taylor* is the first term of the series, and *fisher* stands
# for the second. Does each of them do well where its term is the large one? Look at the size as
# well: which line does it follow, and what do the two have in common? And the gradients without
# the weight: is one of them a good witness at any time, and what are both worth in the end?
#
# Where two lines end close together, the figure does not show whether one is ahead. Compare the two
# that end highest, network by network:

# %% tags=["nbval-ignore-output"]
first, second = sorted(found, key=lambda name: -found[name][:, -1].mean())[:2]
ahead = (found[first] - found[second])[:, -1].tolist()
agree = "all networks agree" if min(ahead) * max(ahead) > 0 else "no winner"
said = f"{first} is ahead of {second} by {min(ahead):+.3f} to {max(ahead):+.3f}: {agree}."
lesson.reveal(my_guess, said)

# %% [markdown]
# ## Exercise 5: the output, not the loss
#
# All gradients so far need labels. And they hardly listen to an example that the network has right
# and is sure of: its loss is flat, so there is no gradient. You can ask another question instead:
# how much does a weight move the **outputs**, whatever the right answer is?
#
# $$\text{score}(w) = \frac{1}{N C} \sum_i \sum_c
# \left| \frac{\partial y_c(x_i)}{\partial w} \right|$$

# %% exercise="sensitivity"
from pruneedu.pruning.criteria import sensitivity

# %%
lesson.check(sensitivity)

# %%
lesson.source("sensitivity")


# %%
sensitive = [yours.sensitivity(model, train) for model in trained]
products = [
    {name: w.detach().abs() * scores[name] for name, w in pe.prunable(model).items()}
    for model, scores in zip(trained, sensitive, strict=True)
]

# %% tags=["nbval-ignore-output"]
last = {}
for name, rows in {"sensitivity": sensitive, "sensitivity · |w|": products}.items():
    last[name] = [agreement(*pair) for pair in zip(rows, truth[epochs], strict=True)]
last |= {"size": found["size"][:, -1], "fisher, with labels": found["fisher"][:, -1]}
plotting.show(plotting.bars(last, axes[1]))

# %% [markdown]
# The same pattern again: a price alone says next to nothing, and times the weight it says a lot.
# The size is the distance alone. Compare its bar with the others before you pay for a price.
#
# ## Play: explore the criteria
#
# On the left is the first layer of one trained network, a row for each of its 20 units and a column
# for each position of the signal. On the right is what the network still knows when all the weights
# below the cut go **at once**, with the random control. Choose a criterion and move the sparsity.
#
# **Find the criteria whose maps show whole rows, full ones and empty ones**: they rank units rather
# than weights. And one criterion is far worse than chance: what does it leave of the last layer?

# %%
reading = {"fisher": yours.fisher, "taylor": yours.taylor, "squares": yours.gradient}
reading["sensitivity"] = yours.sensitivity
criteria = {name: partial(criterion, data=train) for name, criterion in reading.items()}
criteria |= {"raw gradient": pull, "size": size, "random": pe.random}
scores = {name: criterion(trained[0]) for name, criterion in criteria.items()}


# %%
def accuracy_at(name, sparsity):
    pruned = pe.apply_masks(trained[0], pe.keep_top(scores[name], sparsity))
    return pe.evaluate(pruned, data.validation)


place = {name: at for at, name in enumerate([*found, "sensitivity"])}  # colours as above
levels = [level / 10 for level in range(10)]
kept = {name: (levels, [accuracy_at(name, level) for level in levels]) for name in scores}


# %% tags=["nbval-ignore-output"]
def explore(criterion, sparsity):
    masks = pe.keep_top(scores[criterion], sparsity)
    lines = {name: kept[name] for name in dict.fromkeys((criterion, "random"))}
    left = 100 * masks["fc2.weight"].float().mean()
    title = f"{criterion}: accuracy {100 * accuracy_at(criterion, sparsity):.0f} %, "
    title += f"{left:.0f} % of the last layer kept"
    first = {"fc1.weight": masks["fc1.weight"]}
    label = "validation accuracy"
    return plotting.mask_beside_curves(first, lines, sparsity, label, title, places=place)


lesson.play(explore, criterion=list(criteria), sparsity=(0.0, 0.9, 0.05, 0.5))

# %% [markdown]
# The truth of this lesson takes away one weight at a time. A cut takes away hundreds, and the
# damages do not simply add up. Who wins then, and who wins after fine-tuning, is the subject of
# lesson 05.
#
# ## Where gradients are at their best: before training
#
# At the start no criterion knows the truth as well as the first order. So use it there: *SNIP* (Lee
# and others, 2019) scores a network that has not learned anything yet by $|w \cdot g|$, cuts once,
# and trains what is left. No training is wasted on weights that will go.
#
# The network is a larger one, with 15,000 weights, and 90 % of them go before the first step. There
# are two controls: a random cut, and size, which can see nothing yet but how the weights were
# drawn. **Which accuracy will size have after training?** Chance is 10 %.

# %%
my_guess = 50  # your guess, in per cent


# %%
def cut_then_train(criterion, seed, sparsity, epochs):
    """Return the validation accuracy of a network that is cut before it is trained."""
    pe.seed_everything(seed)
    model = pe.models.mnist1d_mlp(100)
    masks = pe.keep_top(criterion(model), sparsity)
    settings = {"optimizer": partial(sgd, lr=0.1), "schedule": cosine, "batch_size": 64}
    settings |= {"after_step": partial(pe.apply_masks_, masks=masks), "progress": False}
    model = pe.fit(pe.apply_masks(model, masks), train, epochs, seed=seed, **settings).model
    return pe.evaluate(model, data.validation), masks


# %%
at_once = {"snip": partial(pe.snip, data=train), "random": pe.random, "size": pe.magnitude}
runs = {
    name: [cut_then_train(criterion, seed, 0.9, rounds) for seed in range(seeds)]
    for name, criterion in at_once.items()
}
dense = [cut_then_train(pe.random, seed, 0.0, rounds) for seed in range(seeds)]

# %% tags=["nbval-ignore-output"]
accuracies = {name: [run[0] for run in rows] for name, rows in {"dense": dense, **runs}.items()}
said = f"Cut by size it has {100 * sum(accuracies['size']) / seeds:.0f} %."
figure = plotting.bars(accuracies, "validation accuracy, 90 % gone before training", percent=True)
lesson.reveal(my_guess, said, figure)

# %% [markdown]
# Where does the difference come from? Look at what each cut leaves of each layer.

# %% tags=["nbval-ignore-output"]
for name, rows in runs.items():
    left = {layer: f"{100 * mask.float().mean():.0f} %" for layer, mask in rows[0][1].items()}
    print(f"{name:6} leaves {left}")

# %% [markdown]
# A layer with few inputs starts with larger weights than one with many. So before training the size
# tells you in which layer a weight is, and little else. A global ranking takes the smaller kind
# first, and cuts the network in two. SNIP knows better, because a gradient has been through all of
# the layers.
#
# ## Break: exercise 2, late in the evening
#
# Here is exercise 2 again, as one writes it when one is tired. It runs, and it gives numbers of
# the right shape. Call it **twice**, on the same network and the same examples: **how many times
# larger is the sum of all scores the second time?**


# %%
def hasty(model, data):
    scores = {name: torch.zeros_like(weight) for name, weight in pe.prunable(model).items()}
    for x, y in zip(data.x, data.y, strict=True):
        cross_entropy(model(x[None]), y[None]).backward()
        for name, weight in pe.prunable(model).items():
            scores[name] += weight.grad**2
    return scores


# %%
my_guess = 1  # your guess: how many times larger?

# %% tags=["nbval-ignore-output"]
few = Split(train.x[:300], train.y[:300])
once, again = hasty(trained[0], few), hasty(trained[0], few)
times = (in_a_row(again).sum() / in_a_row(once).sum()).item()
same = agreement(once, yours.gradient(trained[0], few))
said = f"{times:.1f} times. With the right scores, the first call agrees to {same:.2f}."
lesson.reveal(my_guess, said)

# %% [markdown]
# Two calls with the same arguments have to agree. **If these do not, which line is to blame? Find
# it before you read on.**

# %%
# A cell for your search: call hasty on few examples, or on one.

# %% [markdown]
# A criterion has no business remembering anything. But `backward()` does not set `.grad`, it
# **adds** to it. So the second example is squared together with the first, the third with both, and
# the last with all of them: sums that cancel, squared too late. And when the function is done, the
# gradients stay in the network. The second call begins where the first one ended, and so would the
# next step of an optimizer that does not clear them.
#
# Two symptoms to test for, in any criterion: call it twice, and shuffle the examples. Neither may
# change anything. The repair is to ask for gradients that belong to nobody:


# %%
def repaired(model, data):
    weights = pe.prunable(model)
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for x, y in zip(data.x, data.y, strict=True):
        loss = cross_entropy(model(x[None]), y[None])
        found = torch.autograd.grad(loss, list(weights.values()))
        for name, grad in zip(weights, found, strict=True):
            scores[name] += grad**2
    return scores


# %%
trained[0].zero_grad()
once, again = repaired(trained[0], few), repaired(trained[0], few)
right = pe.gradient(trained[0], few)
print("two calls agree:", torch.equal(in_a_row(once), in_a_row(again)))
print("as the library's:", torch.allclose(in_a_row(once), in_a_row(right), rtol=1e-3))
print("nothing is left in .grad:", all(w.grad is None for w in pe.prunable(trained[0]).values()))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("price", answer="b")

# %%
lesson.quiz("minimum", answer="b")

# %%
lesson.quiz("twice", answer="c")

# %% [markdown]
# ## Where it goes next
#
# - LeCun, Denker, Solla: *Optimal brain damage* (1989). Read section 2 for the series that you
#   used, and for what they drop from it: the slope, and all curvature between two weights.
# - Molchanov and others: *Importance estimation for neural network pruning* (2019). Read it for the
#   first order, squared, and for how well it agrees with the truth, which they measured as you did.
# - Lee, Ajanthan, Torr: *SNIP: single-shot network pruning based on connection sensitivity* (2019).
#   Read it for why a gradient before training can tell anything at all, and table 1 for how far it
#   goes.
#
# Lesson 04 asks the data instead of the loss: does a unit that varies more know more?
