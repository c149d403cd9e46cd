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
# # 02 Magnitude: which weights can go?
#
# You have trained a network with 266,200 weights. It works, and it is too large. Somebody hands you
# a pair of scissors and asks: *which weights do you cut, how many, and in what order?*
#
# The oldest answer needs no data and no gradient: cut the small ones. In this lesson you find out
# how far that goes, you write it yourself, and you see what it does **not** buy.
#
# You need lesson 00. Time: 30 minutes to read and run, and 65 for the five exercises. Computing:
# about half a minute.

# %%
from functools import partial

import pruneedu as pe
import torch
from pruneedu import plotting
from pruneedu.course import Lesson
from pruneedu.measuring import compare
from pruneedu.training import cosine, sgd

lesson = Lesson("02")
yours = lesson.yours  # your functions once they pass, the library's until then
epochs, seeds = lesson.budget(epochs=5, seeds=3)

# %% [markdown]
# ## The network
#
# The data are small pictures of clothes (we train on half of them, to be quick), and the network is
# LeNet-300-100: two hidden layers of 300 and 100 units. We train it once for each seed, because
# one network is an anecdote. All choices in this lesson are made on the *validation* set. The test
# set waits until the end.

# %% tags=["nbval-ignore-output"]
data = pe.load("fashion-mini")
half = pe.data.Split(data.train.x[:5000], data.train.y[:5000])
plotting.show(plotting.images(half.x[:6], [data.classes[i] for i in half.y[:6]]))


# %%
def train(seed):
    pe.seed_everything(seed)  # the initial weights
    how = {"optimizer": partial(sgd, lr=0.1), "schedule": cosine, "batch_size": 64}
    model = pe.models.lenet_300_100()
    return pe.fit(model, half, epochs, seed=seed, progress=False, **how).model


dense = [train(seed) for seed in range(seeds)]
print(f"{sum(w.numel() for w in pe.prunable(dense[0]).values()):,} weights that can be pruned")

# %% [markdown]
# ## Your guess
#
# We will set the smallest 80 % of the weights to zero and do nothing else: no repair, no further
# training. **How many percentage points of its accuracy does the network lose?**
#
# Write a number. It is not graded; it is there so that you notice what surprises you.

# %%
my_guess = 20  # your guess: points of accuracy lost when 80 % of the weights go

# %%
levels = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98]


def pruned_to_levels(model, criterion, scope="global"):
    """Return the validation accuracy of one network at each level."""
    scores = criterion(model)
    pruned = [pe.apply_masks(model, pe.keep_top(scores, level, scope)) for level in levels]
    return [pe.evaluate(network, data.validation) for network in pruned]


# %% tags=["nbval-ignore-output"]
by_size = torch.tensor([pruned_to_levels(model, pe.magnitude) for model in dense])
by_chance = torch.tensor([pruned_to_levels(model, pe.random) for model in dense])
lost = 100 * (by_size[:, 0] - by_size[:, levels.index(0.8)])
found = f"{lost.mean():.1f} points are lost, {lost.min():.1f} to {lost.max():.1f} over the seeds."
lines = {"smallest weights go": (levels, by_size), "random weights go": (levels, by_chance)}
labels = ("share of the weights that went", "validation accuracy")
lesson.reveal(my_guess, found, plotting.curves(lines, *labels, percent="xy"))

# %% [markdown]
# Look at the two lines. *Random* is the control: it removes as many weights, but any. Whatever
# magnitude keeps above that line is what knowing the size of a weight is worth. Every criterion in
# this course has to beat that line.
#
# ## The idea: a weight is as important as it is large
#
# A unit computes $y = \sum_i w_i x_i$. If all inputs are of similar size, the term with a small
# $|w_i|$ changes $y$ little. So the score of a weight is its distance from zero:
#
# $$\text{score}(w) = |w|$$
#
# That is a bet, not a theorem. It ignores how large $x_i$ is, and what the loss would say.
# Lessons 03 to 05 take the bet apart.
#
# ## Exercise 1: the scores
#
# A score is a plain tensor with the shape of its weight, and all scores together are a plain dict:
# `"fc1.weight"` → tensor. `pe.prunable(model)` returns the weights that may be pruned, by name.

# %% exercise="magnitude"
from pruneedu.pruning.criteria import magnitude

# %%
lesson.check(magnitude)

# %%
lesson.source("magnitude")

# %% [markdown]
# ## Threshold or rank?
#
# Now the plan: which weights stay? Many programs choose a threshold and keep what is above it.
# Below, ten weights with some equal sizes, as you get them from quantized networks. Four of ten are
# to go. How many go?

# %%
sizes = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0])
threshold = sizes.quantile(0.4)
print(f"asked for: 4, gone with  > : {int((sizes <= threshold).sum())}")
print(f"asked for: 4, gone with >= : {int((sizes < threshold).sum())}")

# %% [markdown]
# Neither is what was asked. A threshold answers "how large must a weight be", and the question was
# "how many may stay". So we **rank**, and drop exactly
#
# $$k = \text{round}(\text{sparsity} \cdot n)$$
#
# entries from the bottom. Among equals somebody has to go; we keep the earlier one, so that
# everybody gets the same masks.
#
# One question is left: one ranking for the whole network (`scope="global"`), or one for each layer
# (`scope="layer"`)?
#
# ## Exercise 2: from scores to masks
#
# A mask is a tensor of `True` (keep) and `False` (drop). Read the docstring: it is the contract,
# and the check tests all of it. Begin with one flat tensor, then join the layers.

# %% exercise="keep_top"
from pruneedu.pruning.selection import keep_top

# %%
lesson.check(keep_top)

# %%
lesson.source("keep_top")

# %% [markdown]
# ## Play: global or layer?
#
# The map on the left is the first layer, a row for each unit and a column for each pixel. It has
# more weights than the picture has points, so that a point stands for a small block of them: the
# darker, the more of the block are kept. On the right you see how many weights each pixel has left.
# Both scales run from none to all at every step, and they are stretched near zero.
#
# Move the sparsity, change the scope. **Find the sparsity at which the first row goes empty**: a
# unit that hears nothing any more. In which scope does it happen first? And why does the border of
# the picture go before its middle?


# %% tags=["nbval-ignore-output"]
def explore(sparsity, scope):
    masks = yours.keep_top(yours.magnitude(dense[0]), sparsity, scope)
    accuracy = pe.evaluate(pe.apply_masks(dense[0], masks), data.validation)
    first = masks["fc1.weight"]
    title = f"validation accuracy {100 * accuracy:.1f} %, {int((~first.any(1)).sum())} rows empty"
    return plotting.mask_map({"fc1.weight": first}, (28, 28), title)


lesson.play(explore, sparsity=(0.5, 0.99, 0.01, 0.9), scope=["global", "layer"])

# %% [markdown]
# ## What a global ranking does to the layers
#
# At 95 % over the whole network, how much is left of each layer?

# %% tags=["nbval-ignore-output"]
masks = yours.keep_top(yours.magnitude(dense[0]), 0.95, "global")
left = {name: mask.float().mean().item() for name, mask in masks.items()}
plotting.show(plotting.bars(left, "share of the layer that stays", percent=True))

# %% [markdown]
# The last layer is small, and its weights are large: a global ranking leaves most of it. Equal
# shares take as much from it as from the first layer, which has most of the weights and the
# smallest ones. What is that worth?

# %% tags=["nbval-ignore-output"]
by_layer = [pruned_to_levels(model, yours.magnitude, "layer") for model in dense]
lines = {"one ranking": (levels, by_size), "each layer alone": (levels, by_layer)}
plotting.show(plotting.curves(lines, *labels, percent="xy"))

# %% [markdown]
# Look at where the two lines part. But a global ranking is no law either. With other
# initialisations or normalisations the sizes of two layers do not compare, and it can empty one.
# You choose, and you measure.
#
# ## How fast to cut?
#
# So far we cut once and did nothing. Han and others (2015) cut a little, train the rest, and cut
# again: the remaining weights learn to do without the others. Then the question is the schedule.
#
# - **one shot**: everything at once,
# - **iterative**: each round drops the same share of what remains,
# - **cubic**: the distance to the goal shrinks with the third power of the rounds that are left
#   (Zhu and Gupta 2017):
#
# $$s_t = s_f + (s_i - s_f)\left(1 - \frac{t}{n}\right)^3, \quad t = 1, \dots, n$$
#
# ## Exercise 3: the cubic schedule

# %% exercise="cubic"
from pruneedu.pruning.schedules import cubic

# %%
lesson.check(cubic)

# %%
goal, rounds = 0.98, list(range(1, 9))
steady, fading = pe.iterative(goal, 8), yours.cubic(goal, 8)
targets = {"iterative": (rounds, steady), "cubic": (rounds, fading)}
plotting.show(plotting.curves(targets, "round", "target sparsity", percent="y"))

# %%
ahead = [t for t, i, c in zip(rounds, steady, fading, strict=True) if c > i]
print(f"cubic is ahead of iterative in the rounds {ahead}")
for name, targets in {"iterative": steady, "cubic": fading}.items():
    print(f"{name}: the last round drops {100 * (goal - targets[-2]):.1f} % of all weights")

# %% [markdown]
# Both take most at first and less in each round. With a goal as high as this one, iterative takes
# more in the first rounds. Then cubic passes it, and has next to nothing left to cut at the end:
# its last rounds are training. With a goal of 0.9, cubic is ahead from the first round: try it.
#
# ## Exercise 4: prune, fine-tune, prune again
#
# `criterion(model)` gives scores. `finetune(model, after_step)` trains a copy and returns it; it
# calls `after_step(model)` after each step of the optimizer. Use `pe.keep_top` and
# `pe.apply_masks` as you like, and `partial(pe.apply_masks_, masks=masks)` for the step.

# %% exercise="prune_iteratively"
from pruneedu.pruning.schedules import prune_iteratively

# %%
lesson.check(prune_iteratively)

# %% [markdown]
# ### Which schedule wins?
#
# All get the same training: as many epochs in all, on the same data, and 98 % of the weights go.
# There are two controls: the cut without any training after it, and the dense network trained on
# for as many epochs. Without the second you might thank pruning for what training did.

# %%
my_guess = "cubic"  # your guess: "one shot", "iterative" or "cubic"


# %%
def finetune(model, after_step=(), epochs=1):
    settings = {"optimizer": partial(sgd, lr=0.02), "batch_size": 64, "progress": False}
    return pe.fit(model, half, epochs, after_step=after_step, seed=1, **settings).model


# %%
def accuracy_after(schedule, epochs):
    tune = partial(finetune, epochs=epochs)
    made = [yours.prune_iteratively(m, yours.magnitude, schedule, tune)[0] for m in dense]
    return [pe.evaluate(model, data.validation) for model in made]


# %%
after = {
    "one shot": accuracy_after([0.98], epochs),
    "iterative": accuracy_after(pe.iterative(0.98, epochs), 1),
    "cubic": accuracy_after(yours.cubic(0.98, epochs), 1),
}

# %%
longer = [finetune(model, epochs=epochs) for model in dense]
controls = {
    "dense, trained on": [pe.evaluate(model, data.validation) for model in longer],
    "cut, not trained": by_size[:, -1],  # 98 % went, from the first figure
}

# %% tags=["nbval-ignore-output"]
best = max(after, key=lambda name: sum(after[name]))
found = f"{best} has the highest mean. Look at the ranges before you call it a winner."
figure = plotting.bars(after | controls, "validation accuracy, 98 % gone", percent=True)
lesson.reveal(my_guess, found, figure)

# %% [markdown]
# There are two gaps, and they are not of the same size. Training after the cut is the large one.
# The schedule is the small one: whether it is larger than the spread between seeds you can read off
# the bars. And compare with the dense network that was trained on: that is the price.
#
# ## Break: the zeros that come back
#
# The code below runs without an error, and its network is not what it should be. It prunes 90 %,
# takes **one** step of SGD, and counts. **What share of the weights is zero after the step?**

# %%
my_guess = 90  # your guess, in per cent


# %%
def zeros(model):
    """Return the share of the weights that are zero, in per cent."""
    weights = torch.cat([weight.flatten() for weight in pe.prunable(model).values()])
    return 100 * (weights == 0).float().mean().item()


# %% tags=["nbval-ignore-output"]
few = pe.data.Split(half.x[:128], half.y[:128])  # one batch: one step
masks = yours.keep_top(yours.magnitude(dense[0]), 0.9)
sparse = pe.apply_masks(dense[0], masks)
stepped = pe.fit(sparse, few, epochs=1, progress=False).model
found = f"Before the step {zeros(sparse):.0f} % are zero, after it {zeros(stepped):.0f} %."
lesson.reveal(my_guess, found)

# %% [markdown]
# Why? A mask is no property of the network. We multiplied once, and then the optimizer did what it
# always does: every weight with a gradient moves, also one that is zero. And momentum makes it
# worse: even a weight whose gradient is zero *now* goes on moving with the speed of earlier steps.
#
# Some zeros have stayed, by chance. A weight has a gradient if some picture of the batch lights its
# input while its unit is not silent. Where no picture does, nothing moves. The cut itself has
# silenced many units:

# %% tags=["nbval-ignore-output"]
answers = sparse.relu1(sparse.fc1(few.x.flatten(1)))
silent = int((answers.amax(0) == 0).sum())
print(f"{silent} of {answers.shape[1]} units of the first layer are silent for the whole batch")

# %% [markdown]
# The next batch may wake them. The repair is one line: apply the masks again after each step.

# %%
masked = partial(pe.apply_masks_, masks=masks)
repaired = pe.fit(sparse, few, epochs=1, after_step=masked, progress=False).model
print(f"zeros before: {zeros(sparse):.0f} %, after a step with the mask: {zeros(repaired):.0f} %")

# %% [markdown]
# ## Choosing the ratio, from high to low
#
# "How sparse may it be?" is answered on the validation set. Start from the top and come down: the
# first sparsity that loses at most one point is the answer. From the bottom up you would stop at
# the first bump.

# %% tags=["nbval-ignore-output"]
tolerated = pe.evaluate(longer[0], data.validation) - 0.01  # the fair baseline: trained on
for chosen in [0.99, 0.98, 0.95, 0.9, 0.8, 0.5, 0.0]:
    schedule = yours.cubic(chosen, epochs)
    model, masks = yours.prune_iteratively(dense[0], yours.magnitude, schedule, finetune)
    if pe.evaluate(model, data.validation) >= tolerated:
        break
print(f"chosen sparsity: {100 * chosen:.0f} %")

# %% [markdown]
# ## Two plots that pull apart
#
# One number for all layers is the simplest plan. Look at each layer alone: on the left what it
# costs to prune it, on the right what there is to gain.

# %%
grid = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98]
counts = {name: weight.numel() for name, weight in pe.prunable(dense[0]).items()}


def alone(model, name):
    """Return the validation accuracy with this layer alone pruned, at each level of the grid."""
    scores = {name: yours.magnitude(model)[name]}
    pruned = [pe.apply_masks(model, yours.keep_top(scores, level)) for level in grid]
    return [pe.evaluate(network, data.validation) for network in pruned]


# %% tags=["nbval-ignore-output"]
kept = {name: [alone(model, name) for model in dense] for name in counts}  # [seeds, levels]
plotting.show(plotting.sensitivity({n: (grid, kept[n]) for n in kept}, counts))

# %% [markdown]
# ## Exercise 5: share a budget
#
# The layer that costs least is not the one that gives most. You are given both plots as numbers,
# and a budget: this share of all weights has to go. Choose a level for each layer. Many answers are
# right; the check asks that the budget is met and that you lose clearly less than equal levels
# would.

# %% exercise="share_sparsity"
from pruneedu.course.lessons.lesson_02.sparsity_budget import share_sparsity

# %%
lesson.check(share_sparsity)

# %% [markdown]
# ### Does it hold on the real network?
#
# A budget of 92 %, for each of the networks, with its own losses. The plan adds up losses that were
# measured one layer at a time. Whether they add up in truth is another question, so the next cells
# measure it: your plan, one global ranking, and equal shares. All three drop the same share of the
# weights.


# %%
def plan_for(seed, budget):
    """Return a level for each layer, the share of all weights that goes, and the loss expected."""
    losses = {name: [rows[seed][0] - a for a in rows[seed]] for name, rows in kept.items()}
    plan = yours.share_sparsity(counts, losses, grid, budget)
    share = sum(plan[name] * counts[name] for name in plan) / sum(counts.values())
    return plan, share, sum(losses[name][grid.index(level)] for name, level in plan.items())


# %%
def accuracy_of(seed, sparsity, scope):
    """Return the validation accuracy of one network after one cut."""
    masks = yours.keep_top(yours.magnitude(dense[seed]), sparsity, scope)
    return pe.evaluate(pe.apply_masks(dense[seed], masks), data.validation)


# %% tags=["nbval-ignore-output"]
plans, shares, expected = zip(*(plan_for(seed, 0.92) for seed in range(seeds)), strict=True)
measured = {
    "your plan": [accuracy_of(*at, "layer") for at in enumerate(plans)],
    "one ranking": [accuracy_of(*at, "global") for at in enumerate(shares)],
    "equal shares": [accuracy_of(*at, "layer") for at in enumerate(shares)],
}
plotting.show(plotting.bars(measured, "validation accuracy, 92 % or more gone", percent=True))

# %% [markdown]
# Do not read the bars by their means alone. Compare network by network:


# %% tags=["nbval-ignore-output"]
def lead(other):
    """Say how far the plan is ahead of another, from the worst seed to the best."""
    ahead = [100 * (a - b) for a, b in zip(measured["your plan"], measured[other], strict=True)]
    agree = "all networks agree" if min(ahead) * max(ahead) > 0 else "no winner"
    print(f"your plan against {other}: {min(ahead):+.1f} to {max(ahead):+.1f} points; {agree}")


lead("equal shares")
lead("one ranking")

# %% tags=["nbval-ignore-output"]
for seed, plan in enumerate(plans):
    lost = by_size[seed, 0] - measured["your plan"][seed]
    print(f"{plan}: {100 * expected[seed]:.1f} points expected, {100 * lost:.1f} lost")

# %% [markdown]
# *Equal shares* take from each layer alike, and the small layers have little to give for what it
# costs. Your plan spares them and takes a little more from the first. *One ranking* spares them as
# well, and it has measured no loss at all: their weights are larger. A plan that needed 24
# measurements has to beat it, and the second line says whether it does.
#
# Then the last lines. Losses that were measured one at a time do not simply add up: each was taken
# with all other layers whole. So a plan is a proposal, and the measurement has the last word.

# %% [markdown]
# ## Smaller? Faster?
#
# Nine weights in ten can go. So the file is a tenth, and the network is ten times as fast. Is it?

# %%
my_guess = 10  # your guess: how many times faster is the pruned network?

# %% tags=["nbval-ignore-output"]
masks = yours.keep_top(yours.magnitude(dense[0]), 0.9)
pruned = pe.apply_masks(dense[0], masks)
example = data.validation.x[:64]
compared = compare(dense[0], pruned, example, names=("dense", "pruned"))  # timed in turn
lesson.reveal(my_guess, compared)

# %% [markdown]
# Read the two halves of the table. The *theoretical* half promises a lot: a tenth of the nonzeros,
# and a file that would be much smaller **if** somebody wrote only the nonzeros. The *measured* half
# says that the file on disk has not changed by a byte. (Deflated, it has: a zip finds the zeros by
# itself.) And the clock? A gain counts only if it is larger than the noise, and on a busy machine
# even that can be luck: run the cell again. Nothing in the arithmetic has changed, because a zero
# is stored and multiplied like any other number.
#
# Is that always so? No. Lesson 07 removes whole units, and the clock notices. Lesson 15 writes
# the file that the theory promises. This lesson made the network *compressible*, not yet small.
#
# ## The test set, once
#
# All choices are made. Now, and only now, the test set is read.

# %% tags=["nbval-ignore-output"]
for name, net in {"dense": longer[0], f"pruned to {100 * chosen:.0f} %": model}.items():
    print(f"{name}: test accuracy {100 * pe.evaluate(net, data.test):.1f} %")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("ties", answer="b")

# %%
lesson.quiz("clock", answer="a")

# %%
lesson.quiz("momentum", answer="b")

# %% [markdown]
# ## Where it goes next
#
# - Han, Pool, Tran, Dally: *Learning both weights and connections for efficient neural networks*
#   (2015). Read section 3 for the loop that you wrote, and table 4 for LeNet-300-100: 12 times
#   fewer weights. `benchmarks/` in this project repeats it.
# - Zhu, Gupta: *To prune, or not to prune* (2017). Read figure 1: a large sparse network against a
#   small dense one of the same size.
# - Gale, Elsen, Hooker: *The state of sparsity in deep neural networks* (2019). Read it for the
#   result that plain magnitude, tuned with care, is hard to beat.
#
# Lesson 03 asks what the gradient knows that the size does not.
