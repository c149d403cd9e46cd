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
# You need lesson 00. Time: 45 minutes. Computing: about half a minute.

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
# LeNet-300-100: two hidden layers of 300 and 100 neurons. We train it once for each seed, because
# one network is an anecdote. All choices in this lesson are made on the *validation* set. The test
# set waits until the end.

# %% tags=["nbval-ignore-output"]
data = pe.load("fashion-mini")
half = pe.data.Split(data.train.x[:5000], data.train.y[:5000])
plotting.show(plotting.images(half.x[:6], [data.classes[i] for i in half.y[:6]]))


# %%
def train(seed):
    pe.seed_everything(seed)  # the initial weights
    settings = {"optimizer": partial(sgd, lr=0.1), "schedule": cosine, "batch_size": 64}
    return pe.fit(pe.models.lenet_300_100(), half, epochs, seed=seed, **settings).model


dense = [train(seed) for seed in range(seeds)]
print(f"{sum(w.numel() for w in pe.prunable(dense[0]).values()):,} weights that can be pruned")

# %% [markdown]
# ## Your guess
#
# We will set the smallest 80 % of the weights to zero and do nothing else: no repair, no further
# training. The dense network has some accuracy. How many percentage points does it lose?
#
# Write a number. It is not graded; it is there so that you notice what surprises you.

# %%
my_guess = 20  # your guess: points of accuracy lost when 80 % of the weights go

# %% tags=["nbval-ignore-output"]
levels = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98]


def accuracies(criterion, scope="global"):
    """Accuracy at each level, one row for each network: [seeds, levels]."""
    masks = [[pe.keep_top(criterion(m), s, scope) for s in levels] for m in dense]
    pruned = [[pe.apply_masks(m, k) for k in row] for m, row in zip(dense, masks, strict=True)]
    return torch.tensor([[pe.evaluate(m, data.validation) for m in row] for row in pruned])


by_size, by_chance = accuracies(pe.magnitude), accuracies(pe.random)
lost = 100 * (by_size[:, 0] - by_size[:, 2])
lesson.reveal(
    my_guess,
    f"{lost.mean():.1f} points are lost, {lost.min():.1f} to {lost.max():.1f} over the seeds.",
    plotting.curves(
        {"smallest weights go": (levels, by_size), "random weights go": (levels, by_chance)},
        "share of the weights that went",
        "validation accuracy",
        percent="xy",
    ),
)

# %% [markdown]
# Look at the two lines. *Random* is the control: it removes as many weights, but any. Whatever
# magnitude keeps above that line is what knowing the size of a weight is worth. Every criterion in
# this course has to beat that line.
#
# ## The idea: a weight is as important as it is large
#
# A neuron computes $y = \sum_i w_i x_i$. If all inputs are of similar size, the term with a small
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
# The map shows the first layer: which of its weights stay, and from which pixels they come. Move
# the sparsity, change the scope. **Find the sparsity at which whole rows go empty**: neurons
# that hear nothing any more. In which scope does it happen first? And why does the border of the
# picture go before its middle?


# %% tags=["nbval-ignore-output"]
def explore(sparsity, scope):
    masks = yours.keep_top(yours.magnitude(dense[0]), sparsity, scope)
    accuracy = pe.evaluate(pe.apply_masks(dense[0], masks), data.validation)
    first = {"fc1.weight": masks["fc1.weight"]}
    return plotting.mask_map(first, (28, 28), f"validation accuracy {accuracy:.1%}")


lesson.play(explore, sparsity=(0.5, 0.99, 0.01, 0.9), scope=["global", "layer"])

# %% [markdown]
# ## What a global ranking does to the layers
#
# At 95 % over the whole network, how much is left of each layer?

# %% tags=["nbval-ignore-output"]
masks = yours.keep_top(yours.magnitude(dense[0]), 0.95, "global")
left = {name: mask.float().mean().item() for name, mask in masks.items()}
plotting.show(plotting.bars(left, "share of the layer that stays", percent=True))

by_layer = accuracies(yours.magnitude, "layer")
plotting.show(
    plotting.curves(
        {"one ranking": (levels, by_size), "each layer alone": (levels, by_layer)},
        "share of the weights that went",
        "validation accuracy",
        percent="xy",
    )
)

# %% [markdown]
# The last layer is small, and its weights are large: a global ranking leaves most of it. Equal
# shares take as much from it as from the first layer, which has most of the weights and the
# smallest ones. But a global ranking is no law either. With other initialisations or normalisations
# the sizes of two layers do not compare, and it can empty one. You choose, and you measure.
#
# ## How fast to cut?
#
# So far we cut once and did nothing. Han and others (2015) cut a little, train the rest, and cut
# again: the remaining weights learn to do without the others. Then the question is the schedule.
#
# - **one shot**: everything at once,
# - **iterative**: each round drops the same share of what remains,
# - **cubic**: fast while there is much to spare, slow at the end (Zhu and Gupta 2017):
#
# $$s_t = s_f + (s_i - s_f)\left(1 - \frac{t}{n}\right)^3, \quad t = 1, \dots, n$$
#
# ## Exercise 3: the cubic schedule

# %% exercise="cubic"
from pruneedu.pruning.schedules import cubic

# %%
lesson.check(cubic)

# %% tags=["nbval-ignore-output"]
rounds = list(range(1, 9))
targets = {
    "iterative": (rounds, pe.iterative(0.98, 8)),
    "cubic": (rounds, yours.cubic(0.98, 8)),
}
plotting.show(plotting.curves(targets, "round", "target sparsity", percent="y"))

# %% [markdown]
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


# %% tags=["nbval-ignore-output"]
def finetune(model, after_step=(), epochs=1):
    settings = {"optimizer": partial(sgd, lr=0.02), "batch_size": 64, "progress": False}
    return pe.fit(model, half, epochs, after_step=after_step, seed=1, **settings).model


def accuracy_after(schedule, epochs):
    tune = partial(finetune, epochs=epochs)
    made = [yours.prune_iteratively(m, yours.magnitude, schedule, tune)[0] for m in dense]
    return [pe.evaluate(model, data.validation) for model in made]


after = {
    "one shot": accuracy_after([0.98], epochs),
    "iterative": accuracy_after(pe.iterative(0.98, epochs), 1),
    "cubic": accuracy_after(yours.cubic(0.98, epochs), 1),
}

# %% tags=["nbval-ignore-output"]
longer = [finetune(model, epochs=epochs) for model in dense]
controls = {
    "dense, trained on": [pe.evaluate(model, data.validation) for model in longer],
    "cut, not trained": by_size[:, -1],  # 98 % went, from the first figure
}
best = max(after, key=lambda name: sum(after[name]))
lesson.reveal(
    my_guess,
    f"{best} has the highest mean. Look at the ranges before you call it a winner.",
    plotting.bars(after | controls, "validation accuracy, 98 % gone", percent=True),
)

# %% [markdown]
# There are two gaps, and they are not of the same size. Training after the cut is the large one.
# The schedule is the small one: whether it is larger than the spread between seeds you can read off
# the bars. And compare with the dense network that was trained on: that is the price.
#
# ## Break: the zeros that come back
#
# Here is a cell that runs without an error, and its number is wrong. It prunes 90 %, takes **one**
# step of SGD, and counts the zeros. Guess the share before you look.

# %%
my_guess = 0.9  # your guess: the share of zeros after one step

# %%
few = pe.data.Split(half.x[:128], half.y[:128])  # one batch: one step
masks = yours.keep_top(yours.magnitude(dense[0]), 0.9)
sparse = pe.apply_masks(dense[0], masks)
stepped = pe.fit(sparse, few, epochs=1).model


def zeros(model):
    weights = pe.prunable(model).values()
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)


most = "Most zeros are gone" if zeros(stepped) < zeros(sparse) / 2 else "The zeros stayed"
lesson.reveal(my_guess, f"Before the step {zeros(sparse):.0%} are zero. {most} one step later.")

# %% [markdown]
# Why? A mask is no property of the network. We multiplied once, and then the optimizer did what it
# always does: every weight with a gradient moves, also one that is zero. What stays zero are
# weights whose input was dark in the whole batch. And momentum makes it worse: even a weight whose
# gradient is zero *now* goes on moving with the speed of earlier steps.
#
# The repair is one line: apply the masks again after each step.

# %%
repaired = pe.fit(sparse, few, epochs=1, after_step=partial(pe.apply_masks_, masks=masks)).model
print(f"zeros before: {zeros(sparse):.0%}, after a step with the mask: {zeros(repaired):.0%}")

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
print(f"chosen sparsity: {chosen:.0%}")

# %% [markdown]
# ## Two plots that pull apart
#
# One number for all layers is the simplest plan. Look at each layer alone: on the left what it
# costs to prune it, on the right what there is to gain.

# %% tags=["nbval-ignore-output"]
grid = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98]
weights = pe.prunable(dense[0])
scores = yours.magnitude(dense[0])


def alone(name, sparsity):
    masks = yours.keep_top({name: scores[name]}, sparsity)
    return pe.evaluate(pe.apply_masks(dense[0], masks), data.validation)


kept = {name: [alone(name, s) for s in grid] for name in weights}
counts = {name: weight.numel() for name, weight in weights.items()}
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
# The plan adds up losses that were measured one layer at a time. Whether they add up in truth is
# another question, so we measure: your plan against one global ranking and against equal shares.

# %% tags=["nbval-ignore-output"]
losses = {name: [kept[name][0] - a for a in kept[name]] for name in kept}
plan = yours.share_sparsity(counts, losses, grid, 0.9)
dropped = sum(plan[n] * counts[n] for n in plan) / sum(counts.values())
choices = {"your plan": (plan, "layer"), "global": (dropped, "global"), "equal": (dropped, "layer")}
measured = {
    name: pe.evaluate(pe.apply_masks(dense[0], yours.keep_top(scores, *choice)), data.validation)
    for name, choice in choices.items()
}
print(plan)
plotting.show(plotting.bars(measured, f"validation accuracy, {dropped:.0%} gone", percent=True))

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
# Is that always so? No. Lesson 07 removes whole neurons, and the clock notices. Lesson 15 writes
# the file that the theory promises. This lesson made the network *compressible*, not yet small.
#
# ## The test set, once
#
# All choices are made. Now, and only now, the test set is read.

# %% tags=["nbval-ignore-output"]
for name, net in {"dense": longer[0], f"pruned to {chosen:.0%}": model}.items():
    print(f"{name}: test accuracy {pe.evaluate(net, data.test):.1%}")

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
