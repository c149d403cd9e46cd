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
# # 00 Start here: how does this course work?
#
# Every lesson asks one question. You guess, the computer measures, and then you build what was
# measured.
#
# Here you do all of that once, with a network so small that it trains in a second. It reads
# handwritten digits. You prune it, and you find out how much of it was needed.
#
# You need nothing but Python. Time: 15 minutes to read and run, and 10 for the two exercises.
# Computing: a few seconds.
#
# Click into the first cell of code. **Shift + Enter** runs a cell and goes on to the next one.
# While a cell runs, `[*]` stands beside it. If one never ends, press **■** (interrupt), mend its
# loop and run it again.

# %%
import pruneedu as pe
import torch
from pruneedu import plotting
from pruneedu.course import Lesson
from pruneedu.measuring import compare

lesson = Lesson("00")
yours = lesson.yours

# %% [markdown]
# ## A network that reads digits
#
# `pe` is the library of the course. Each of its functions is short enough to be read, and you will
# rebuild many of them.

# %%
digits = pe.load("digits")
print(digits)
plotting.show(plotting.images(digits.train.x[-12:], digits.train.y[-12:].tolist()))

# %% [markdown]
# The digits come in three sets, and each set has one use:
#
# - the network learns from `digits.train`;
# - whatever *we* choose, we choose by the result on `digits.validation`;
# - `digits.test` is read once, when every choice is made.
#
# Now the network: 64 pixels go in, 64 hidden units (neurons) follow, 10 classes come out.

# %%
pe.seed_everything(0)
dense = pe.fit(pe.models.mlp(64, 64, 10), digits.train, epochs=30, progress=False).model
sizes = {name: weight.numel() for name, weight in pe.prunable(dense).items()}
print(f"{sum(sizes.values()):,} weights: {sizes}")

# %% tags=["nbval-ignore-output"]
right = pe.evaluate(dense, digits.validation)
print(f"{100 * right:.1f} % of the validation digits are read correctly")

# %% [markdown]
# ## Your guess
#
# To **prune** a network is to remove some of its weights: here, to set them to zero. We take the
# smallest first, and we do not train again.
#
# **How many per cent of the weights can go before the network misreads 1 digit in 20 more than it
# does now?**
#
# Write a number after the `=` and run the cell. Guesses are not graded. But do write one: nothing
# is a surprise to somebody who expected nothing.

# %%
my_guess = 50  # your guess, in per cent

# %% [markdown]
# ## The measurement
#
# The next cell prunes the network a hundred times, to 0 %, 1 %, … 99 %, and counts what it still
# reads. It computes whether you guessed or not. What it found is shown by the cell after it, and
# only once your guess stands.

# %%
scores = pe.magnitude(dense)
sparsities = [percent / 100 for percent in range(100)]
pruned = [pe.apply_masks(dense, pe.keep_top(scores, sparsity)) for sparsity in sparsities]
read = [pe.evaluate(model, digits.validation) for model in pruned]

# %% tags=["nbval-ignore-output"]
first_too_far = next(i for i, share in enumerate(read) if share < read[0] - 1 / 20)
most = sparsities[first_too_far - 1]
found = f"Measured: **{100 * most:.0f} %** of the weights can go."
line = {"pruned, not trained again": (sparsities, read)}
labels = ("sparsity: the fraction of the weights that went", "validation digits read correctly")
lesson.reveal(my_guess, found, plotting.curves(line, *labels, percent="xy"))

# %% [markdown]
# For a long way, nothing happens. Then the network falls off a cliff. Much of this course is about
# that picture: why the flat part is so long, how to move the cliff to the right, and how to turn
# the weights that went into a smaller file and a shorter wait.
#
# One network is one number. With another `seed` the cliff stands a little further left or right;
# from lesson 01 on you train several and look at the spread.
#
# ## The idea: four words
#
# **statistic → plan → rewrite → report.** Every technique in this course has these four parts, and
# between two of them there is always something that you can print.
#
# **Statistic**: one number for each weight, that says how much it matters. Here it is the size,
#
# $$\text{score}(w) = |w|$$
#
# and all scores together are a plain dict from a weight's name to a tensor.

# %%
scores = pe.magnitude(dense)
print({name: tuple(score.shape) for name, score in scores.items()})

# %% [markdown]
# **Plan**: which weights stay. A mask has an entry for each weight, and `True` means *keep*.
# The **sparsity** is the fraction that goes, so $k = \text{round}(\text{sparsity} \cdot n)$ of
# the $n$ weights are dropped, the ones with the lowest scores. First four that you can rank in your
# head, then those of the network.

# %%
print(pe.keep_top({"four": torch.tensor([0.9, 0.1, 0.5, 0.3])}, sparsity=0.5))

# %%
masks = pe.keep_top(scores, sparsity=0.75)
kept = sum(int(mask.sum()) for mask in masks.values())
print(f"{kept:,} of {sum(sizes.values()):,} weights stay")

# %% [markdown]
# **Rewrite**: a new model in which what was dropped is zero. The old model is not touched.

# %%
sparse = pe.apply_masks(dense, masks)
nonzero = sum(int(weight.count_nonzero()) for weight in pe.prunable(sparse).values())
print(f"{nonzero:,} weights are not zero")

# %% [markdown]
# **Report**: what did we gain, and what did it cost? We take the sparsity that was measured on the
# validation digits. With this choice made, we read the test digits, once. `compare` lets the two
# networks run in turn, so that whatever else this machine does slows down both.

# %% tags=["nbval-ignore-output"]
chosen = pe.apply_masks(dense, pe.keep_top(scores, most))
names = ("dense", f"pruned to {100 * most:.0f} %")
lesson.reveal(my_guess, compare(dense, chosen, digits.test.x[:64], digits.test, names=names))

# %% [markdown]
# Compare the rows. The *nonzero parameters* are few now. The *bytes in memory* have not changed,
# and neither have the multiplications (*MACs*): a zero is stored and multiplied like any other
# number. Lesson 02 looks at that, and lesson 07 makes the network small in earnest.
#
# Then look at the accuracy. You allowed a loss of 5 points, on the validation digits. These are 300
# other digits, and the loss is another number: the ± says how far luck alone reaches. That is why
# the set on which something was chosen is never the set that judges it.
#
# ## Play
#
# On the left you see the weights of the first layer, a row for each hidden unit: black stays, white
# went. On the right you see how many weights each pixel of the digit has left; its colours run
# from none to all 64, at every sparsity, and are stretched near zero.
#
# **Find the sparsity at which the first pixel is cut off: no unit looks at it any more.** Which
# pixels are these, and why can the network do without them?


# %% tags=["nbval-ignore-output"]
def draw(sparsity):
    masks = pe.keep_top(scores, sparsity)
    share = pe.evaluate(pe.apply_masks(dense, masks), digits.validation)
    first = masks["fc1.weight"]
    title = f"{100 * share:.1f} % read correctly, {int((~first.any(0)).sum())} pixels cut off"
    return plotting.mask_map({"fc1.weight": first}, pixels=(8, 8), title=title)


lesson.play(draw, sparsity=(0.0, 0.99, 0.01, 0.5))

# %% [markdown]
# ## Build
#
# Now you write two of the functions that you have just used. An exercise is a cell with a function
# whose body is missing. This is how it goes:
#
# - Read the docstring. It is the contract. Put your answer in place of the `raise` line, run the
#   cell, then run the check under it.
# - The check calls your function on random inputs and on edge cases, and says what is right, where
#   the first difference is, and often what went wrong. Checking costs nothing: try a wrong answer
#   first, if you like.
# - A check that fails ends with an error, `CheckFailed`, so that nobody misses it. *Run All Cells*
#   goes on past it all the same. It stops at any other error, such as a typing mistake in an
#   answer: mend that, or put the `raise` line back.
# - Stuck? Run `lesson.hint("sparsity")` in a cell of your own. Each exercise has three hints.
# - Still stuck? Go on. `yours.sparsity` is your function once it passes, and the library's own
#   until then, so no later cell waits for an open or a wrong answer. You can come back at any time.
#
# ### Exercise 1: sparsity
#
# Which fraction of all entries do the masks drop? You need not check the input for mistakes; the
# library's version does.

# %% exercise="sparsity"
from pruneedu.tensors import sparsity

# %%
lesson.check(sparsity)

# %% [markdown]
# Once your answer passes, read how the library does it. There is often more than one good way.

# %%
lesson.source("sparsity")

# %% [markdown]
# ### Exercise 2: accuracy
#
# A network answers each digit with ten numbers, the *logits*, one for each class. Its prediction is
# the class with the largest. Which fraction of the predictions is right? Again, the input need not
# be checked.

# %% exercise="accuracy"
from pruneedu.evaluation import accuracy

# %%
lesson.check(accuracy)

# %%
lesson.source("accuracy")

# %% [markdown]
# From here on the library measures with your two functions.

# %%
print(f"sparsity of the masks: {yours.sparsity(masks)}")
by_yours = pe.evaluate(dense, digits.validation, metric=yours.accuracy)
print(f"your accuracy and the library's agree: {by_yours == pe.evaluate(dense, digits.validation)}")

# %% [markdown]
# ## Break: the pruning that cost nothing
#
# Each lesson has a cell that runs without an error and whose number is wrong. Here is the first.
# It drops 99 weights in 100, and the network reads as well as before. Look at the curve
# above: that cannot be. **Find the mistake before you read on.**

# %%
few = pe.keep_top(scores, sparsity=0.99)
pe.apply_masks(dense, few)
change = pe.evaluate(dense, digits.validation) - read[0]
print(f"sparsity {100 * yours.sparsity(few):.0f} %, change of accuracy {100 * change:+.1f} points")

# %% [markdown]
# When a number is too good, count. How many weights of the network that was measured are zero?

# %%
zero = sum(int((weight == 0).sum()) for weight in pe.prunable(dense).values())
print(f"{zero} weights are zero")

# %% [markdown]
# None. The masks are right, and they were applied: to a *new* model, which nobody caught. The cell
# went on and measured the old one. In this library a function returns something new and leaves its
# input as it was, unless its name ends in an underscore, as in `apply_masks_`. So give the new
# model a name:

# %% tags=["nbval-ignore-output"]
really = pe.apply_masks(dense, few)
change = pe.evaluate(really, digits.validation) - read[0]
print(f"sparsity {100 * yours.sparsity(few):.0f} %, change of accuracy {100 * change:+.1f} points")

# %% [markdown]
# ## Quiz
#
# Three questions. Every choice has its reason, so try the wrong ones as well.

# %%
lesson.quiz("sparsity", answer="b")

# %%
lesson.quiz("sets", answer="b")

# %%
lesson.quiz("stuck", answer="c")

# %% [markdown]
# ## Where it goes next
#
# Your progress is kept in a small file beside the notebooks, and survives a restart. Here it is.
# If `pruneedu lab` opened this notebook, a terminal of JupyterLab (*File*, *New*, *Terminal*) knows
# the command as well: `pruneedu progress` shows the same, and `pruneedu check 00` runs the checks
# of this notebook, as you saved it.

# %% tags=["nbval-ignore-output"]
lesson.progress()

# %% [markdown]
# Two papers to keep beside this course:
#
# - LeCun, Denker, Solla: *Optimal brain damage* (1989). Read the first two pages: pruning is
#   older than most of what it is used on, and the small weights are not always the ones to take.
# - Blalock, Ortiz, Frankle, Guttag: *What is the state of neural network pruning?* (2020). Read
#   section 4 for all the ways in which a comparison of two pruning methods can be worth nothing.
#
# Lesson 01 asks: if training can push weights toward zero, why prune?
