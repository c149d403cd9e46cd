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
# # 01 Regularisation or pruning?
#
# You know penalties from every course on machine learning: add the size of the weights to the loss,
# and training keeps them small. So here is a fair question. *If training can push weights toward
# zero, why would anybody prune?*
#
# You will train one small network with five methods that are said to keep it simple, count what is
# really zero, and compare all of them with pruning, at the same number of weights.
#
# You need lesson 00. Time: 30 minutes to read and run, and 40 for the five exercises. Computing:
# about half a minute.

# %%
import copy
from functools import partial

import pruneedu as pe
import torch
from pruneedu import plotting
from pruneedu.course import Lesson
from pruneedu.regularization import l2, with_dropout

lesson = Lesson("01")
yours = lesson.yours  # your functions once they pass, the library's until then
start, rounds, tune, seeds = lesson.budget(start=12, rounds=4, tune=3, seeds=3)
epochs = start + rounds * tune  # the budget: as many for every method

# %% [markdown]
# ## The network
#
# It is the digit reader of lesson 00: 64 pixels, 64 hidden units, 10 classes. We train with **plain
# SGD**, without momentum, so that each formula below is literally what happens in a step. Each
# method is trained once for each of a few seeds. A difference that is smaller than the difference
# between seeds is no difference.
#
# Everything that we choose, we choose on the *validation* digits. The test digits wait until the
# end.

# %%
digits = pe.load("digits")
rate = 0.2  # the learning rate


def fresh(seed):
    pe.seed_everything(seed)
    return pe.models.mlp(64, 64, 10)


# %%
def train(model, seed, epochs=epochs, **how):
    settings = {"batch_size": 64, "seed": seed, "progress": False}
    sgd = partial(torch.optim.SGD, lr=rate)
    return pe.fit(model, digits.train, epochs, optimizer=sgd, **settings, **how).model


def train_seeds(**how):
    return [train(fresh(seed), seed, **how) for seed in range(seeds)]


# %%
def weights(model):
    """All weights that could be pruned, in one long tensor."""
    return torch.cat([weight.detach().flatten() for weight in pe.prunable(model).values()])


n = len(weights(fresh(0)))
print(f"{n:,} weights, {epochs} epochs for every method")

# %% [markdown]
# ## Your guess
#
# The **L1 penalty** adds the sum of all $|w|$ to the loss, times a strength $\lambda$. It is famous
# for making things *sparse*: statisticians use it to find the few inputs that matter. We train with
# it, strongly.
#
# **What share of the weights is exactly zero at the end?**

# %%
my_guess = 50  # your guess, in per cent

# %% tags=["nbval-ignore-output"]
strength = 0.003
plain = train_seeds()
with_l1 = train_seeds(penalty=partial(yours.l1, strength=strength))
exact = sum(int((weights(model) == 0).sum()) for model in with_l1)
near = 100 * (weights(with_l1[0]).abs() < 0.001).float().mean()

# %% tags=["nbval-ignore-output"]
found = f"**{exact}** of {seeds * n:,} weights are exactly zero, in {seeds} networks."
but = f"But {near:.0f} % of the first network's are nearer to zero than 0.001."
shown = {"no penalty": weights(plain[0]), "L1": weights(with_l1[0])}
lesson.reveal(my_guess, found, but, plotting.histograms(shown))

# %% [markdown]
# The penalty has done something: most of the weights stand in one heap at zero. But *near*
# zero is not zero. A weight of 0.0001 is stored and multiplied like any other, and a file
# compresses it no better.
#
# ## The idea: what pushes, and how hard near zero
#
# Training follows slopes. What a penalty does to a weight is its slope there:
#
# | | added to the loss | its slope at $w$ | near zero |
# |---|---|---|---|
# | L2, weight decay | $\lambda \sum w^2$ | $2 \lambda w$ | fades: nothing gets there |
# | L1, lasso | $\lambda \sum \lvert w \rvert$ | $\lambda \, \text{sign}(w)$ | as steep as ever |
#
# So L1 keeps pushing where L2 gives up. A weight that the data need is held in place by the slope
# of the loss; a weight that they hardly need slides down to zero.
#
# ## Exercise 1: the L1 penalty
#
# You return a number that is added to the loss. PyTorch then computes the slope by itself, and so
# the check looks at the gradient of your number, not only at its value. `pe.prunable(model)`
# returns the weights by name.

# %% exercise="l1"
from pruneedu.regularization import l1

# %%
lesson.check(l1)

# %%
lesson.source("l1")

# %% [markdown]
# ## Why nothing arrives
#
# The top left pixel is dark in every digit. The weights that come from it are multiplied by 0, so
# the data say nothing about them: only the penalty moves them. If any weight should end at zero, it
# is one of these. We watch one for some epochs. This is where it is after each of the last 25
# steps.


# %% tags=["nbval-ignore-output"]
def path(*steps, **how):
    """Train for a while; return the last 25 steps, and where one weight of the pixel is."""
    seen = []
    look = (*steps, lambda model: seen.append(model.fc1.weight[0, 0].item()))
    train(fresh(0), 0, epochs=start, after_step=look, **how)
    return range(len(seen) - 24, len(seen) + 1), seen[-25:]


by_gradient = path(penalty=partial(yours.l1, strength=strength))
plotting.show(plotting.curves({"L1, SGD": by_gradient}, "step", "the weight"))

# %% [markdown]
# It jumps to and fro across zero. With the learning rate $\eta$, a step is
#
# $$w \leftarrow w - \eta \lambda \, \text{sign}(w)$$
#
# and its length is always $\eta\lambda$, however near zero is. A walker whose every stride is one
# metre, and who stands 40 centimetres from the door, cannot stop in the door.
#
# The remedy is to stop *by rule*. First comes the ordinary step of SGD on the loss alone. Then each
# weight goes toward zero by the distance $\eta\lambda$, **and no further than zero**:
#
# $$w \leftarrow \text{sign}(w) \cdot \max(|w| - \eta\lambda, \; 0)$$
#
# This is the *proximal step*, or *soft threshold*. Mind what its strength is: a distance,
# $\eta\lambda$, and not the slope $\lambda$.
#
# ## Exercise 2: the proximal step
#
# It comes after each step of the optimizer, as `fit(…, after_step=…)`. The optimizer holds the
# weights of the model, so you must change *these*: hence the underscore in the name. Return the
# model as well.

# %% exercise="proximal_l1_"
from pruneedu.regularization import proximal_l1_

# %%
lesson.check(proximal_l1_)

# %%
lesson.source("proximal_l1_")

# %% [markdown]
# Now with five strengths, from weak to strong. First look at the weight of the dark pixel again,
# then at the networks of the strength from above. What has changed?

# %% tags=["nbval-ignore-output"]
strengths = [0.001, 0.002, 0.003, 0.005, 0.01]
proximal = {s: partial(yours.proximal_l1_, strength=rate * s) for s in strengths}
with_zeros = {s: train_seeds(after_step=proximal[s]) for s in strengths}
paths = {"L1, SGD": by_gradient, "L1, proximal": path(proximal[strength])}
plotting.show(plotting.curves(paths, "step", "the weight"))

# %% tags=["nbval-ignore-output"]
for name, models in {"SGD": with_l1, "proximal": with_zeros[strength]}.items():
    right = sum(pe.evaluate(model, digits.validation) for model in models) / seeds
    zero = sum((weights(model) == 0).float().mean() for model in models) / seeds
    print(f"L1, {name}: accuracy {100 * right:.1f} %, exactly zero {100 * zero:.0f} %")

# %% [markdown]
# It is the same objective, and nearly the same network. One of the two has zeros.
#
# ## Play: how hard to push?
#
# **Find the weakest strength at which half of the weights are zero. What has it cost? Then switch
# the step to `gradient`: what changes in the picture, and what does not? And which strength harms
# the network most?**


# %% tags=["nbval-ignore-output"]
by_steps = {s: train(fresh(0), 0, penalty=partial(yours.l1, strength=s)) for s in strengths}


def explore(strength, step):
    model = with_zeros[strength][0] if step == "proximal" else by_steps[strength]
    accuracy = pe.evaluate(model, digits.validation)
    shown = {"no penalty": weights(plain[0]), f"L1, {strength:g}": weights(model)}
    return plotting.histograms(shown, title=f"validation accuracy {100 * accuracy:.1f} %")


lesson.play(explore, strength=strengths, step=["proximal", "gradient"])

# %% [markdown]
# ## Whole units
#
# A network with scattered zeros keeps its shape. If *all* weights that enter a unit are zero, the
# unit itself can go. The **group lasso** asks for that. It adds up the *lengths* of the rows of
# weights,
#
# $$\lambda \sum_u \sqrt{p_u} \; \lVert w_u \rVert_2 ,$$
#
# where $w_u$ are the $p_u$ weights that enter unit $u$. For a single weight the length is $|w|$,
# and this is L1. For a row it pushes toward the *row* of zeros: all of its weights or none.
#
# ## Exercise 3: the group lasso
#
# Row $u$ of a weight is what enters unit $u$. Think of a row that is zero already: what should its
# gradient be?

# %% exercise="group_lasso"
from pruneedu.regularization import group_lasso

# %%
lesson.check(group_lasso)

# %%
lesson.source("group_lasso")

# %% [markdown]
# ## Six ways to train
#
# Three of them you know by now. The others are said to keep a network simple as well:
#
# - **L2** pulls on each weight in proportion to its size,
# - **dropout** silences hidden units at random during training, so that none relies on another,
# - **early stopping** ends when the validation accuracy has not risen for some epochs, before the
#   weights have grown.
#
# Where a method has a strength, we try several, and the validation digits will choose.

# %% tags=["nbval-ignore-output"]
trained = {  # method -> strengths -> seeds
    "no penalty": [plain],
    "L1": list(with_zeros.values()),
    "L2": [train_seeds(penalty=partial(l2, strength=s)) for s in (0.001, 0.01)],
    "group lasso": [
        train_seeds(penalty=partial(yours.group_lasso, strength=s)) for s in (0.0003, 0.003)
    ],
    "dropout": [
        [train(with_dropout(fresh(seed), p), seed) for seed in range(seeds)] for p in (0.1, 0.3)
    ],
    "early stopping": [train_seeds(validation=digits.validation, patience=5)],
}

# %% tags=["nbval-ignore-output"]
strongest = {name: weights(tried[-1][0]) for name, tried in trained.items()}
strongest["L1"] = weights(with_zeros[strength][0])  # the strongest leaves little of the network
plotting.show(plotting.histograms(strongest))

# %% [markdown]
# Look at the shapes. L2 makes a narrower heap, and a round one. Dropout and early stopping leave
# the weights about as they are. L1, with the proximal step, is the only one with many exact zeros.
#
# The group lasso shows a few. Which are these?

# %% tags=["nbval-ignore-output"]
zero = trained["group lasso"][-1][0].fc1.weight == 0
dark = digits.train.x.flatten(1).amax(0) == 0
print("zeros come from the pixels", zero.any(0).nonzero().flatten().tolist())
print("dark in every digit are  ", dark.nonzero().flatten().tolist())

# %% [markdown]
# Dark pixels again, where only the penalty acts. In a row that has faded it multiplies such a
# weight by a small factor at each step, until it is below the smallest number that a float can
# hold. All other weights of these rows are small and not zero: they were moved by gradient steps,
# and you know what those do. (`proximal_group_lasso_` is the remedy here.)
#
# ## The control: equal nonzeros
#
# How do you compare a network with 4,736 small weights and one with 500? Not as they are: nobody
# doubts that more weights can do more. Give all of them **the same number of nonzero weights**.
# Whatever a method has prepared by keeping weights small, a cut must now be able to use.
#
# ## Exercise 4: cut to a number
#
# Without this control the comparison below would be worth nothing, so it is yours to build. The
# parts are those of lesson 00.

# %% exercise="cut_to"
from pruneedu.course.lessons.lesson_01.equal_nonzeros import cut_to

# %%
lesson.check(cut_to)

# %% [markdown]
# ## The duel
#
# Against them stands **magnitude pruning**. It trains without any penalty for the first 12 of the
# 24 epochs. Then it cuts the smallest weights in four rounds and trains the rest for three epochs
# after each. Lesson 02 is about that loop; here it is the opponent. It has the same 24 epochs as
# everybody else.
#
# **With one weight in twenty, 237 nonzeros, which is the most accurate: no penalty, L1, L2, group
# lasso, dropout, early stopping or magnitude pruning?**

# %%
my_guess = "L1"  # your guess: the name of a method

# %% tags=["nbval-ignore-output"]
shares = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01]
counts = [round(share * n) for share in shares]


def finetune(model, after_step):
    return train(model, seed=100, epochs=tune, after_step=after_step)


# %%
def prune_all(models):
    """Prune each network to each number of nonzeros, in rounds: [seeds][counts]."""
    targets = [pe.cubic(1 - count / n, rounds) for count in counts]
    prune = partial(pe.prune_iteratively, criterion=pe.magnitude, finetune=finetune)
    return [[prune(model, sparsities=target)[0] for target in targets] for model in models]


# %%
pruned = prune_all(train_seeds(epochs=start))


# %%
def cut_all(models):
    """Cut each network to each number of nonzeros; one that has fewer stays as it is."""
    there = [int(weights(model).count_nonzero()) for model in models]
    return [
        [yours.cut_to(model, min(count, has)) for count in counts]
        for model, has in zip(models, there, strict=True)
    ]


# %%
def accuracies(networks):
    return torch.tensor([[pe.evaluate(m, digits.validation) for m in row] for row in networks])


# %% tags=["nbval-ignore-output"]
results, chosen = {}, {}
for name, tried in trained.items():
    table = torch.stack([accuracies(cut_all(models)) for models in tried])  # strength, seed, count
    chosen[name] = table.mean(1).argmax(0)  # for each count, the strength that validation prefers
    results[name] = table[chosen[name], :, range(len(counts))].T
results["magnitude pruning"] = accuracies(pruned)

# %% tags=["nbval-ignore-output"]
at = counts.index(round(0.05 * n))
measured = {name: table[:, at] for name, table in results.items()}
best = max(measured, key=lambda name: measured[name].mean())
found = f"**{best}** has the highest mean. Look at the ranges before you call it a winner."
label = f"validation accuracy with {counts[at]} nonzero weights"
lesson.reveal(my_guess, found, plotting.bars(measured, label, percent=True))

# %% [markdown]
# The black lines reach from the worst seed to the best. Now the same for all numbers of nonzero
# weights. First the methods that were *not* made to leave few.


# %%
def against_nonzeros(names, results):
    lines = {name: (counts, results[name]) for name in names}
    figure = plotting.curves(lines, "nonzero weights", "validation accuracy", percent="y")
    figure.axes[0].set_xscale("log")
    figure.axes[0].set_xticks(counts, [f"{count:,}" for count in counts])
    figure.axes[0].minorticks_off()
    return figure


# %% tags=["nbval-ignore-output"]
dense = ("no penalty", "L2", "dropout", "early stopping")
plotting.show(against_nonzeros(dense, results))

# %% [markdown]
# Read it from right to left. **L2, dropout and early stopping** fall as the network without any
# penalty does. They may help a network to generalise, but nothing in them asks for *few* weights.
#
# Now those that do, against pruning.


# %%
def verdict(at, results):
    """Say who is first at counts[at], and whether that is more than luck with the seeds."""
    first, second = sorted(results, key=lambda name: -results[name][:, at].mean())[:2]
    means = [f"{name} {100 * results[name][:, at].mean():.1f} %" for name in (first, second)]
    clear = results[first][:, at].min() > results[second][:, at].max()
    say = "better with every seed" if clear else "but the seeds overlap: no winner"
    return f"{counts[at]:,} nonzeros: {means[0]}, then {means[1]}; {say}."


# %% tags=["nbval-ignore-output"]
sparse = ("no penalty", "group lasso", "L1", "magnitude pruning")
plotting.show(against_nonzeros(sparse, results))
print(*(verdict(at, results) for at in (2, 4, 6)), sep="\n")

# %% [markdown]
# The **group lasso** has some rows to spare; in the rows that it keeps, it keeps everything. **L1**
# is another matter. It has gathered what counts in few weights, and the cut finds little to take.
# But its line is the best of five at each point. Which strengths are these?

# %% tags=["nbval-ignore-output"]
for count, choice in zip(counts, chosen["L1"], strict=True):
    print(f"{count:5,} nonzeros: strength {strengths[choice]:g}")

# %% [markdown]
# No single one will do. A weak push spares the accuracy and leaves weights that a cut then misses.
# A strong push prepares for a deep cut and has paid for it before: it presses on *every* weight,
# also on those that the network needs. And to draw this line we trained each network five times.
#
# **Magnitude pruning** decides first and then trains what stays in peace. It hits each number
# exactly, and it needs no strength. *A penalty says how hard to push. Pruning says how many stay.*
#
# So the two are not rivals. The one prepares what the other decides.
#
# ### Both
#
# The same budget, once more: the first 12 epochs with the proximal step, at the strength that the
# validation digits chose for one weight in twenty; then the rounds of pruning, without any penalty.
# Look at both ends of the figure.

# %% tags=["nbval-ignore-output"]
s = strengths[chosen["L1"][at]]
both = prune_all(train_seeds(epochs=start, after_step=proximal[s]))
results["L1 + pruning"] = accuracies(both)
plotting.show(against_nonzeros(("L1 + pruning", "L1", "magnitude pruning"), results))
print(*(verdict(at, results) for at in (2, 4, 6)), sep="\n")

# %% [markdown]
# ## Exercise 5: few weights, by any means
#
# Now you are the method. Here is the problem without a network around it: nine inputs, one output,
# and three weights to predict it with. Two of the inputs resemble the most important one and add
# nothing to it. Penalty, cut, search: take what you like. The check only measures.

# %% exercise="sparse_fit"
from pruneedu.course.lessons.lesson_01.few_weights import sparse_fit

# %%
lesson.check(sparse_fit)

# %%
lesson.source("sparse_fit")

# %% [markdown]
# ## Break: the sparsity that was never there
#
# Somebody trains with L2, counts the weights that are "as good as zero", and reports:

# %% tags=["nbval-ignore-output"]
reported = trained["L2"][-1][0]
small = weights(reported).abs() < 0.05
right = pe.evaluate(reported, digits.validation)
print(f"sparsity {100 * small.float().mean():.0f} % at an accuracy of {100 * right:.1f} %")

# %% [markdown]
# That is a fine result, and you know that it cannot be: in the histogram of L2 nothing was zero.
# The cell runs, and 0.05 is a small number. **What is wrong with it? Find out before you read on.**
# A hint: which network would you give to this count to see whether it can be trusted?

# %%
# A cell for your search: count the weights below 0.05 in some other network.

# %%
untrained = fresh(0)
twin = copy.deepcopy(reported)  # ten times smaller before the ReLU, ten times larger after it
with torch.no_grad():
    for tensor, factor in [(twin.fc1.weight, 0.1), (twin.fc1.bias, 0.1), (twin.fc2.weight, 10)]:
        tensor.mul_(factor)
same = torch.allclose(twin(digits.validation.x), reported(digits.validation.x), atol=1e-3)
print(f"the twin answers as the original does: {same}")

# %% tags=["nbval-ignore-output"]
for name, model in {"untrained": untrained, "twin": twin, "original": reported}.items():
    share = (weights(model).abs() < 0.05).float().mean()
    print(f"{name}: 'sparsity' {100 * share:.0f} %")

# %% [markdown]
# A network that has learned nothing is "sparse" by this count. And the twin computes the same
# function as the original with another sparsity, as high as you like: a ReLU passes a factor on, so
# what one layer loses the next can make up for. *Small* depends on the scale; *zero* does not.
#
# The second half of the mistake is easier to miss. The sparsity is that of a network whose small
# weights are gone, and the accuracy is that of another one, in which they are all still there.
#
# The repair: **count what is exactly zero, and measure the network that you counted.**

# %% tags=["nbval-ignore-output"]
honest = yours.cut_to(reported, int((~small).sum()))
for name, model in {"reported": reported, "cut": honest}.items():
    share = (weights(model) == 0).float().mean()
    right = pe.evaluate(model, digits.validation)
    print(f"{name}: sparsity {100 * share:.0f} %, accuracy {100 * right:.1f} %")

# %% [markdown]
# Keep the twin in mind. Ranking the weights of two layers together also compares their scales. It
# works when both were trained alike, and lesson 02 asks what to do when it does not.
#
# ## The test set, once
#
# One weight in twenty, and everything chosen. Now the test digits are read. There are 300 of them,
# so one digit more or less is a third of a point. And a method that chose among five strengths on
# the validation digits had five chances to look good there. Here it has one.

# %% tags=["nbval-ignore-output"]
final = {name: cut_all(tried[chosen[name][at]]) for name, tried in trained.items()}
final |= {"magnitude pruning": pruned, "L1 + pruning": both}
read = {name: [pe.evaluate(row[at], digits.test) for row in rows] for name, rows in final.items()}
plotting.show(plotting.bars(read, f"test accuracy with {counts[at]} nonzero weights", percent=True))

# %% [markdown]
# So, why prune? Because a push is not a decision. Penalties make weights small, and some of them
# make weights *ready to go*. To end with a given number of weights, and all others exactly zero,
# somebody has to cut. And to cut and then train what stays was, in your figures, worth at least as
# much as the best of the penalties, with no strength to search for.
#
# ## Quiz

# %%
lesson.quiz("zeros", answer="b")

# %%
lesson.quiz("rate", answer="c")

# %%
lesson.quiz("budget", answer="a")

# %% [markdown]
# ## Where it goes next
#
# - Han, Pool, Tran, Dally: *Learning both weights and connections for efficient neural networks*
#   (2015). Read figure 5: L1 is better before the rest is trained again, L2 after it. Compare that
#   with your own two figures.
# - Wen, Wu, Wang, Chen, Li: *Learning structured sparsity in deep neural networks* (2016). Read
#   section 3 for groups of other kinds: filters, channels, whole layers.
# - Gale, Elsen, Hooker: *The state of sparsity in deep neural networks* (2019). Read it for the
#   same duel at the size of real networks, with cleverer penalties than ours.
#
# Lesson 02 takes the winner apart: which weights go, how many, and in what order.
