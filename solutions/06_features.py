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
# # 06 Features or connections?
#
# Long before anybody pruned a network, statisticians pruned its *inputs*: which measurements are
# worth taking? They have filters, trees and support vector machines for it. You have criteria for
# weights. *Is choosing inputs the same problem as choosing weights?*
#
# You will ask both fields the same question, let them compete with the same training, and find out
# what each of them is really counting.
#
# You need lessons 00 to 02. Time: 25 minutes to read and run, and 38 for the five exercises.
# Computing: about half a minute.

# %%
from functools import partial

import pruneedu as pe
import torch
from pruneedu import plotting
from pruneedu.course import Lesson
from pruneedu.data import Split
from pruneedu.training import cosine, sgd

lesson = Lesson("06")
yours = lesson.yours  # your functions once they pass, the library's until then
start, tune, seeds = lesson.budget(start=15, tune=8, seeds=3)

# %% [markdown]
# ## Two readers of digits
#
# The data are the 8 × 8 digits of lesson 00. The first reader is a network with 32 hidden units,
# trained once for each seed. The second is a **decision tree**: at each node it asks whether one
# pixel is brighter than some value. A pixel that it never asks for it does not need.
#
# All choices are made on the validation digits. The test digits wait until the end. (Each set is a
# `Split`, a pair: the inputs `x` of some examples and their classes `y`.)

# %%
digits = pe.load("digits")


def train(model, seed, data=digits, epochs=start, **how):
    settings = {"optimizer": partial(sgd, lr=0.1), "schedule": cosine, "progress": False}
    settings["batch_size"] = len(data.train.y) // 20  # 20 steps an epoch
    return pe.fit(model, data.train, epochs, seed=seed, **settings, **how).model


# %%
def trained(seed, data=digits):
    pe.seed_everything(seed)  # the initial weights
    return train(pe.models.mlp(data.train.x[0].numel(), 32, 10), seed, data)


dense = [trained(seed) for seed in range(seeds)]
print(f"{digits.train.x[0].numel()} pixels, {dense[0].fc1.weight.numel():,} weights that read them")

# %% [markdown]
# ## Your guess
#
# We grow the tree until it makes no mistake on the training digits. And we prune the network by
# magnitude: nine weights in ten go, in four rounds, with training after each. Nobody tells it to
# spare a pixel.
#
# **How many of the 64 pixels does the tree ask for? And how many does the pruned network still
# read?**

# %%
my_guess = (20, 50)  # your guess: pixels of the tree, pixels of the network

# %%
from sklearn.tree import DecisionTreeClassifier

x, y = digits.train.x.flatten(1), digits.train.y
trees = [DecisionTreeClassifier(random_state=s).fit(x.numpy(), y.numpy()) for s in range(seeds)]
asked = [int((tree.feature_importances_ > 0).sum()) for tree in trees]
seen = digits.validation.x.flatten(1).numpy()
tree_right = [tree.score(seen, digits.validation.y.numpy()) for tree in trees]


# %%
def finetune(model, after_step):
    return train(model, seed=10, epochs=max(1, tune // 4), after_step=after_step)


rounds = pe.cubic(0.9, 4)
pruned = [pe.prune_iteratively(model, pe.magnitude, rounds, finetune) for model in dense]

# %% tags=["nbval-ignore-output"]
read = [int(yours.used_inputs(masks).sum()) for _, masks in pruned]
right = [pe.evaluate(model, digits.validation) for model, _ in pruned]
lesson.reveal(
    my_guess,
    f"The trees ask for {asked} pixels and are right in {100 * sum(tree_right) / seeds:.1f} %.",
    f"The networks read {read} pixels and are right in {100 * sum(right) / seeds:.1f} %.",
    plotting.mask_map({"fc1.weight": pruned[0][1]["fc1.weight"]}, (8, 8)),
)

# %% [markdown]
# On the left is what is left of the first layer, on the right how many weights each pixel has.
# Empty columns are pixels that nobody reads any more: the network has dropped inputs *silently*,
# and nobody asked it to. It looks as if the two fields did the same thing. Do they?
#
# ## The idea: what does an input tell?
#
# A **filter** looks at one input at a time, and at no model at all. Sort the values of input $x$
# into bins $b$, count how often each bin meets each class $c$, and ask how far that is from
# independence:
#
# $$I(x; y) = \sum_{b, c} p(b, c) \, \log \frac{p(b, c)}{p(b)\, p(c)}$$
#
# It is 0 if the input tells nothing. If it tells all, it is the entropy of the class,
# $H(y) = -\sum_c p(c) \log p(c)$: how much there is to be told. With the natural logarithm the unit
# is the *nat*, 1.44 bits. (Lesson 04 measures hidden units in the same way.)
#
# ## Exercise 1: what one input tells
#
# The bins are given. Fill the table of bins by classes, and then the formula.

# %% exercise="binned_information"
from pruneedu.course.lessons.lesson_06.input_information import binned_information

# %%
lesson.check(binned_information)

# %% [markdown]
# How many bins? Every choice gives other numbers. What counts for a choice of inputs is the
# ranking. The library's filter needs no bins: it looks at the distance to the nearest neighbours
# (Ross 2014).

# %% tags=["nbval-ignore-output"]
filtered = pe.mutual_information_of_inputs(digits.train)


def best(scores, count=16):
    return set(scores["input"].argsort(descending=True)[:count].tolist())


for bins in (2, 4, 8, 16):
    told = torch.tensor([yours.binned_information(c, y, bins) for c in x.T.contiguous()])
    shared = len(best({"input": told}) & best(filtered))
    print(f"{bins:2} bins: {told.max():.2f} nats at most, {shared} of the best 16 as without bins")

# %% [markdown]
# ## Models that choose
#
# A filter never sees two inputs together. The other two selectors are models, and the choice is a
# by-product of their training:
#
# - **tree**: `pe.tree_importance` adds up how much the splits on a pixel sort the classes;
# - **linear SVM**: `pe.svm_weight` takes the size of a pixel's weights, $\sqrt{\sum_c v_{cj}^2}$.
#
# A weight has a unit, as you saw in lesson 01. Suppose that half of the pixels were saved as per
# cent. Nothing else changes. How many of the best 16 does each selector choose again?

# %% tags=["nbval-ignore-output"]
units = torch.where(torch.rand(64, generator=torch.Generator().manual_seed(0)) < 0.5, 100.0, 1.0)
per_cent = Split(x * units, y)
for selector in (pe.mutual_information_of_inputs, pe.tree_importance, pe.svm_weight):
    again = len(best(selector(digits.train)) & best(selector(per_cent)))
    print(f"{selector.__name__}: {again} of 16 again")

# %% [markdown]
# A tree compares a pixel with a value, and a filter counts. Both do not care what the unit is. An
# SVM does, and so does every criterion that reads the size of weights. Bring inputs to one scale
# first. (The pixels have one, so we go on with them as they are.)
#
# ## Exercise 2: from weights to inputs
#
# Now the other field. A criterion scores each weight. Input $j$ owns **column** $j$ of the first
# layer, so its score is the sum of that column. There is a trap in it that raises no error where
# there are as many units as inputs; the quiz comes back to it.
#
# Of all that can be wrong with the input, the check asks for two things only: that you raise a
# ValueError where the first layer of the model is not scored, and where it is no `nn.Linear`.

# %% exercise="per_input"
from pruneedu.pruning.inputs import per_input

# %%
lesson.check(per_input)

# %%
lesson.source("per_input")

# %% [markdown]
# With it each criterion for weights is a selector of inputs. The same 64 pixels, the brighter the
# higher the score (*Fisher* is the squared gradient times the squared weight):

# %%
scores = {
    "information": [filtered] * seeds,
    "tree": [pe.tree_importance(digits.train, seed) for seed in range(seeds)],
    "SVM": [pe.svm_weight(digits.train)] * seeds,
    "magnitude": [yours.per_input(pe.magnitude(m), m) for m in dense],
    "gradient": [yours.per_input(pe.gradient(m, digits.train), m) for m in dense],
    "Fisher": [yours.per_input(pe.fisher(m, digits.train), m) for m in dense],
    "chance": [{"input": pe.random(m, s)["fc1.weight"][0]} for s, m in enumerate(dense)],
}
seven = list(scores)
place = {name: at for at, name in enumerate(seven)}  # its colour in every figure

# %% tags=["nbval-ignore-output"]
names = [name for name in seven if name != "chance"]
maps = [scores[name][0]["input"] / scores[name][0]["input"].max() for name in names]
plotting.show(plotting.images(torch.stack(maps).view(-1, 8, 8), names))

# %% tags=["nbval-ignore-output"]
dark = x.amax(0) == 0
for name in ("magnitude", "gradient"):
    worth = scores[name][0]["input"]
    below = int((worth[~dark] < worth[dark].max()).sum())
    print(f"{name}: {below} pixels that some digit lights score less than one that stays dark")

bright = {"input": x.square().mean(0)}
for name in names:
    print(
        f"{name}: {len(best(scores[name][0]) & best(bright))} of its best 16 are the brightest 16"
    )

# %% [markdown]
# Pixels that are dark in every digit tell nothing. Magnitude cannot know that: their weights were
# never trained and have kept their initial size. It looks at the weights and not at the data.
#
# Now the brightest. The gradient of a first-layer weight is $\delta_u x_j$, what the unit is told
# to change times the input. So its square carries $x_j^2$, and a column sum ranks the pixels nearly
# by their brightness. That is a property of the pixel, and not yet of what it is good for.
#
# ## The duel
#
# Each selector keeps as many pixels. The same dense network loses the columns of all the others and
# trains on for the same number of epochs, with the mask applied after each step. *Chance* is the
# control. **Which selector is best with 8 of 64 pixels?**

# %%
my_guess = "tree"  # your guess: one of the seven names above


# %%
def retrain(model, masks, seed, data=digits):
    masked = partial(pe.apply_masks_, masks=masks)
    return train(pe.apply_masks(model, masks), seed, data, epochs=tune, after_step=masked)


def with_inputs(model, score, count, seed, data=digits):
    """Return the validation accuracy with the best `count` inputs, trained again."""
    keep = pe.keep_top(score, 1 - count / len(score["input"]))
    return pe.evaluate(retrain(model, pe.input_masks(keep, model), seed, data), data.validation)


# %%
def duel(score, models, counts, data=digits):  # -> [seeds, counts]
    rows = enumerate(zip(models, score, strict=True))
    return [[with_inputs(m, s, n, 10 + seed, data) for n in counts] for seed, (m, s) in rows]


counts = [4, 8, 16, 32]
duels = {name: (counts, duel(score, dense, counts)) for name, score in scores.items()}

# %% tags=["nbval-ignore-output"]
at_8 = {name: [row[1] for row in duels[name][1]] for name in seven}
first, second = sorted(at_8, key=lambda name: -sum(at_8[name]))[:2]
clear = min(at_8[first]) > max(at_8[second])
found = "ahead with every seed" if clear else "but the seeds overlap: no winner"
labels = ("pixels kept", "validation accuracy")
draw = partial(plotting.curves, percent="y", places=place)
figure = draw({name: duels[name] for name in seven}, *labels)
lesson.reveal(my_guess, f"**{first}**, then {second}; {found}.", figure)

# %% [markdown]
# The distance to *chance* is what knowing something is worth; for most it is large when few pixels
# are kept, and it closes. **Find the selector that is hardly better than chance with eight.** What
# did its scores follow, a few cells above? And the others? Look at how much their bands overlap
# before you rank them.
#
# ## The same question, other data
#
# MNIST-1D: 40 numbers along a signal, which is shifted at random. No position belongs to any part
# of the shape. What do the selectors make of that?

# %%
signals = pe.load("mnist1d")
readers = [trained(seed, signals) for seed in range(seeds)]
on_signals = {
    "information": [pe.mutual_information_of_inputs(signals.train)] * seeds,
    "tree": [pe.tree_importance(signals.train)] * seeds,
    "SVM": [pe.svm_weight(signals.train)] * seeds,
    "magnitude": [yours.per_input(pe.magnitude(m), m) for m in readers],
    "chance": [{"input": pe.random(m, s)["fc1.weight"][0]} for s, m in enumerate(readers)],
}

# %% tags=["nbval-ignore-output"]
few = [4, 8, 16]  # of 40
lines = {name: (few, duel(s, readers, few, signals)) for name, s in on_signals.items()}
plotting.show(draw(lines, "positions kept", labels[1]))

# %% [markdown]
# Find the line of the SVM, and the control. Then look at what the SVM has chosen: the positions,
# and how much the signals vary there.

# %% tags=["nbval-ignore-output"]
vary = signals.train.x.flatten(1).std(0)
for name in ("SVM", "tree"):
    first = sorted(best(on_signals[name][0], 8))
    print(f"{name}: positions {first}, with a standard deviation of {vary[first].mean():.2f}")
print(f"all 40 positions: {vary.mean():.2f}")

# %% [markdown]
# The SVM chooses what a *linear* reader needs, and a linear reader can do little with a shape that
# is shifted. Most of its first choices lie close together near the end of the signal. The values
# vary less there, and small values get large weights. The network that has to live with that
# choice did worse than with positions drawn at random, at each count when we measured. **A selector
# chooses for its own model.**
#
# ## Play: which pixels?
#
# On the left the average digit, with the kept pixels marked. On the right the duel with chance, and
# a cross for the network that was trained on these pixels just now. **Find two neighbouring pixels
# that the filter keeps both. Does the tree?**


# %%
def draw_pixels(panel, keep):
    """Mark the kept pixels on the average digit; return them in words."""
    at = keep["input"].view(8, 8).nonzero()
    panel.imshow(x.mean(0).view(8, 8), cmap="gray")
    panel.scatter(at[:, 1], at[:, 0], marker="s", color="white", edgecolor="black")
    panel.set(xlabel="pixel column", ylabel="pixel row")
    return f"Kept pixels as [row, column]: {at.tolist()}."


# %% tags=["nbval-ignore-output"]
def explore(selector, pixels):
    score = scores[selector][0]
    figure, (left, right) = plotting.style.blank(columns=2, width=8.0)
    where = draw_pixels(left, pe.keep_top(score, 1 - pixels / 64))
    both = {name: duels[name] for name in dict.fromkeys((selector, "chance"))}
    line = plotting.lines.draw_curves(right, both, *labels, percent="y", places=place)
    accuracy = with_inputs(dense[0], score, pixels, 10)
    right.plot(pixels, accuracy, "x", color="black", markersize=12)
    right.set(xlim=(0, 41), ylim=(0, 1))  # the same for all, so that they can be compared
    figure.suptitle(f"{pixels} pixels by {selector}: {100 * accuracy:.1f} % after training again")
    figure.alt = f"{where} {100 * accuracy:.1f} % right. {line}"
    return figure


lesson.play(explore, selector=list(duels), pixels=(2, 40, 1, 8))

# %% [markdown]
# ## What neighbours tell twice
#
# A filter ranks. It gives the highest places to the pixels that tell most, and neighbours in the
# middle of the picture tell nearly the same. The second of two copies is worth nothing, and no
# score of a single input can say so.
#
# ## Exercise 3: inputs that tell much together
#
# The inputs are 0 and 1 here, and few, so that what a *set* of them tells can be counted: `told`
# does it. Yours is the search. There is more than one right way; the check measures your set.

# %% exercise="informative_set"
from pruneedu.course.lessons.lesson_06.joint_choice import informative_set

# %%
lesson.check(informative_set)

# %% [markdown]
# ### Redundancy on the digits
#
# With 64 pixels of 17 levels nobody can count sets. Peng and others (2005) take one pixel after the
# other, each time the one with the highest
#
# $$I(x_j; y) - \frac{1}{|S|} \sum_{i \in S} I(x_j; x_i) .$$
#
# What it tells, minus what it has in common, on average, with the pixels that are chosen already.
#
# In exercise 3 this rule is no safe way: the average makes a copy cheaper, the more is chosen. Is
# it better than the filter here? It needs 4,096 tables, one for each pair of pixels. Plain loops
# would take minutes, so this cell counts with the course's own version of exercise 1.

# %%
from pruneedu.course.lessons.lesson_06 import input_information

levels = (16 * x).long()  # the 17 levels of a pixel, as if they were classes
information, pixels = input_information.binned_information, x.T.contiguous()
tells = torch.tensor([information(pixel, y, 8) for pixel in pixels])
common = torch.tensor([[information(p, other, 8) for other in levels.T] for p in pixels])


# %%
def varied(count):
    """Return pixels in the order in which they are chosen."""
    chosen = [int(tells.argmax())]
    while len(chosen) < count:
        gain = tells - common[:, chosen].mean(1)
        gain[chosen] = -torch.inf
        chosen.append(int(gain.argmax()))
    return chosen


# %% tags=["nbval-ignore-output"]
order = torch.empty(64)
order[varied(64)] = torch.arange(64, 0, -1).float()  # chosen first, scored highest
scores["varied"] = [{"input": order}] * seeds
duels["varied"] = (counts, duel(scores["varied"], dense, counts))
place["varied"] = place["information"] + 7  # the same colour, dashed
shown = {name: duels[name] for name in ("information", "varied", "magnitude", "chance")}
plotting.show(draw(shown, *labels))

# %% tags=["nbval-ignore-output"]
gains = torch.tensor(duels["varied"][1]) - torch.tensor(duels["information"][1])
for count, gain in zip(counts, 100 * gains.T, strict=True):
    print(f"{count:2} pixels: {gain.min():+.1f} to {gain.max():+.1f} points against the filter")

# %% [markdown]
# Read the signs. Where all seeds agree, not keeping copies is worth that much. Magnitude comes from
# a network that has seen all pixels together. Does its line lie nearer to the filter or to the
# rule?
#
# ## Connections
#
# And now prune *weights*, and watch the pixels go. When is a pixel used? It has a weight in the
# first layer: that is not enough. The unit that reads it may be heard by nobody.
#
# ## Exercise 4: the inputs that are heard

# %% exercise="used_inputs"
from pruneedu.course.lessons.lesson_06.live_inputs import used_inputs

# %%
lesson.check(used_inputs)

# %%
lesson.source("used_inputs")

# %% tags=["nbval-ignore-output"]
for name, criterion in {"magnitude": pe.magnitude, "chance": pe.random}.items():
    masks = pe.keep_top(criterion(dense[0]), 0.97)
    touched = int(masks["fc1.weight"].any(0).sum())
    used = int(yours.used_inputs(masks).sum())
    print(f"97 % gone by {name}: {touched} pixels have a weight, {used} are heard")

# %% [markdown]
# By chance many weights lead to units that nobody hears. Magnitude mostly avoids that without
# being told: where a unit matters, both of its sides have grown.
#
# ### Two currencies
#
# The same dense networks, cut in the first layer and trained again for as many epochs. *Features*
# keeps whole columns, *connections* keeps single weights, both by magnitude (and so in its colour).
# First we pay by the **weight**. **With an eighth of the weights of the first layer, which is more
# accurate?**

# %%
my_guess = "features"  # your guess: "features" or "connections"


# %%
def columns(model, share):
    scores = yours.per_input(pe.magnitude(model), model)
    return pe.input_masks(pe.keep_top(scores, 1 - share), model)


def singles(model, share):
    return pe.keep_top({"fc1.weight": pe.magnitude(model)["fc1.weight"]}, 1 - share)


def filled(model, share):
    """Keep all weights of the pixels that `singles` has left."""
    return pe.input_masks({"input": yours.used_inputs(singles(model, share))}, model)


# %%
def paid(seed, masks):
    """Return accuracy, weights of the first layer, pixels used."""
    model = retrain(dense[seed], masks, 10 + seed)
    pixels = yours.used_inputs(masks).sum()
    return pe.evaluate(model, digits.validation), masks["fc1.weight"].sum(), pixels


def table(cut, shares):  # -> [seeds, shares, 3]
    return torch.tensor([[paid(i, cut(m, s)) for s in shares] for i, m in enumerate(dense)])


# %%
whole, scattered = [1 / 16, 1 / 8, 1 / 4, 1 / 2], [1 / 256, 1 / 64, 1 / 32, 1 / 8, 1 / 2]
features, connections = table(columns, whole), table(singles, scattered)
refilled = table(filled, scattered)


# %% tags=["nbval-ignore-output"]
place |= {"features": 3, "connections": 10, "refilled": 17}  # all three are by magnitude


def against(currency, xlabel, **tables):
    lines = {name: (t[..., currency].mean(0), t[..., 0]) for name, t in tables.items()}
    return draw(lines, xlabel, labels[1])


lead = 100 * (connections[:, scattered.index(1 / 8), 0] - features[:, whole.index(1 / 8), 0])
found = f"Connections are {lead.min():+.1f} to {lead.max():+.1f} points ahead over the seeds."
figure = against(1, "weights of the first layer", features=features, connections=connections)
lesson.reveal(my_guess, found, figure)

# %% [markdown]
# Now we pay by the **pixel**. Suppose that each of them is a sensor that somebody has to buy. The
# networks are the same, and there is one more: *refilled* keeps the pixels that *connections* has
# left, with all of their weights. It tells whether connections found bad pixels or only had few
# weights.

# %% tags=["nbval-ignore-output"]
tables = {"features": features, "connections": connections, "refilled": refilled}
plotting.show(against(2, "pixels used (mean over seeds)", **tables))

# %% tags=["nbval-ignore-output"]
for share, (_, count, pixels) in zip(scattered, connections.mean(0), strict=True):
    print(
        f"{count:5.0f} weights: as single weights they read {pixels:.0f} pixels; "
        f"they would fill the columns of {64 * share:.1f}"
    )

# %% [markdown]
# Compare the three lines where they cover the same numbers of pixels. If *refilled* lies near
# *features*, the two fields find equally good pixels, although one of them never asked for any.
# If *connections* lies a little below both, that is what its few weights cost.
#
# So is it the same problem? *Which* inputs matter: nearly. *What is counted*: not at all. Pruning
# weights takes a little from many pixels and gets far with few weights. Choosing inputs fills each
# column to the brim and gets far with few pixels. **Say first what costs, what is stored or what is
# measured,** and then choose.
#
# ## Break: the accuracy of nothing
#
# A study with 50 patients, 5,000 measurements each, and two groups. Somebody keeps the 20
# measurements whose means differ most between the groups, and then estimates the accuracy by
# cross-validation, properly, with five folds. The cell runs.
#
# (`nearest_mean` puts a patient into the group whose mean is nearest.)
#
# There is a catch: the measurements below are random numbers, and so are the groups. An honest
# estimate is 50 %. **What does this one say?**

# %%
my_guess = 50  # your guess, in per cent

# %%
from pruneedu.course.tools import largest_gaps, nearest_mean

select = partial(largest_gaps, count=20)  # (x, y) -> the numbers of 20 columns


def study(seed):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(50, 5000, generator=rng), torch.randint(0, 2, (50,), generator=rng)


# %%
def reported(x, y):
    chosen = x[:, select(x, y)]
    held = torch.arange(len(y)) % 5
    right = [
        (nearest_mean(chosen[held != f], y[held != f], chosen[held == f]) == y[held == f]).sum()
        for f in range(5)
    ]
    return int(sum(right)) / len(y)


# %% tags=["nbval-ignore-output"]
claims = [reported(*study(seed)) for seed in range(5)]
found = f"It reports {100 * min(claims):.0f} to {100 * max(claims):.0f} %, in five such studies."
lesson.reveal(my_guess, found)

# %% [markdown]
# **What is wrong with it? Find out before you read on.** Each patient was held out when it was
# judged, that much is right.

# %%
# A cell for your search: reported(*study(0)) is one claim

# %% [markdown]
# Each patient was held out from the *classifier*. The 20 measurements were chosen with the groups
# of all 50 in view. Among 5,000 columns of noise some separate any 50 patients by luck, and exactly
# those were kept. Choosing is training, too.
#
# ## Exercise 5: selection inside the loop
#
# This is the control that such a study needs. `select` and `classify` are handed to you, and the
# loop over the folds is given. What belongs inside it?

# %% exercise="honest_accuracy"
from pruneedu.course.lessons.lesson_06.selection_inside import honest_accuracy

# %%
lesson.check(honest_accuracy)

# %% tags=["nbval-ignore-output"]
honest = [yours.honest_accuracy(*study(s), select, nearest_mean, 5) for s in range(5)]
bars = {"chosen before the split": claims, "chosen inside": honest}
plotting.show(plotting.bars(bars, "accuracy on noise, five studies", percent=True))

# %%
print(f"reported above 80 % in every study: {min(claims) > 0.8}")
print(f"honest mean within 15 points of 50 %: {abs(sum(honest) / 5 - 0.5) < 0.15}")

# %% [markdown]
# Did *we* do better above? The selectors saw the training digits only, and the figures show
# validation digits. But we have looked at many lines by now. So, once:
#
# ## The test set, once
#
# With 8 pixels, each selector on digits that no choice has seen. There are 300: a point is three
# digits. Does the order of the figures above hold?

# %% tags=["nbval-ignore-output"]
final = {}
for name, score in scores.items():
    keep = [
        pe.input_masks(pe.keep_top(s, 1 - 8 / 64), m) for s, m in zip(score, dense, strict=True)
    ]
    nets = [retrain(m, k, 10 + i) for i, (m, k) in enumerate(zip(dense, keep, strict=True))]
    final[name] = [pe.evaluate(net, digits.test) for net in nets]
final["all 64 pixels"] = [pe.evaluate(train(m, 10, epochs=tune), digits.test) for m in dense]
plotting.show(plotting.bars(final, "test accuracy with 8 of 64 pixels", percent=True))

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("copies", answer="b")

# %%
lesson.quiz("columns", answer="b")

# %%
lesson.quiz("leak", answer="c")

# %% [markdown]
# ## Where it goes next
#
# - Guyon, Elisseeff: *An introduction to variable and feature selection* (2003). Read sections 2
#   and 3 for small examples in which useless inputs become useful together.
# - Peng, Long, Ding: *Feature selection based on mutual information* (2005). Read section 2 for the
#   rule that you measured, and why it needs no table of all chosen inputs.
# - Ambroise, McLachlan: *Selection bias in gene extraction on the basis of microarray
#   gene-expression data* (2002). Read it for the break of this lesson in published studies.
#
# Dropping a column drops an input. Dropping a row drops a hidden unit, and then something really
# becomes smaller: lesson 07.
