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
# # 05 The duel: which criterion is right?
#
# By now you have met a dozen ways to score a unit. Each comes with a good reason, and they do not
# agree. Papers that propose a new one show it ahead of the old ones, on their own network. You have
# to cut half of the units of yours. *Which criterion is right?*
#
# In this lesson eight of them meet on the same networks, and one of the eight is chance. First they
# are held against the truth, then they cut, then the networks are repaired. Does the best stay the
# best? You will find out what "right" can mean, and enter a criterion of your own.
#
# You need lessons 02 to 04. Time: 30 minutes to read and run, and 39 for the five exercises.
# Computing: about half a minute.

# %%
from functools import partial
from itertools import permutations

import pruneedu as pe
import torch
from pruneedu import plotting
from pruneedu.course import Lesson
from pruneedu.data import Split
from pruneedu.training import cosine, sgd

lesson = Lesson("05")
yours = lesson.yours  # your functions once they pass, the library's until then
epochs, tune, examples = lesson.budget(epochs=40, tune=6, examples=2000)
seeds = 3  # also in a quick run: with one seed there is no verdict

# %% [markdown]
# ## The network
#
# The data are the signals of MNIST-1D, 2,000 of them to train on. The network has two hidden layers
# of 60 and 40 units. We train it once for each seed. All criteria see the training examples only;
# what is left of the accuracy we measure on validation. The test set waits until the end. (A
# `Split` is a pair: the inputs `x` of some examples and their classes `y`.)

# %%
data = pe.load("mnist1d")
train = Split(data.train.x[:examples], data.train.y[:examples])


def fit(model, epochs, seed, lr, **how):
    settings = {"optimizer": partial(sgd, lr=lr), "schedule": cosine, "batch_size": 100}
    return pe.fit(model, train, epochs, seed=seed, progress=False, **settings, **how).model


# %%
def trained(seed):
    pe.seed_everything(seed)  # the initial weights
    return fit(pe.models.mlp(40, 60, 40, 10), epochs, seed, lr=0.1)


dense = [trained(seed) for seed in range(seeds)]
print(f"{len(dense)} networks, each with {60 + 40} hidden units")

# %% [markdown]
# ## The eight
#
# | | what it looks at | lesson |
# |---|---|---|
# | magnitude | the sizes of the unit's own weights, added up | 02 |
# | sensitivity | how far its weights move the outputs | 03 |
# | taylor | the slope of the loss at its output, times the output | 03 |
# | fisher | the squared slopes at its weights, times the squared weights | 03 |
# | entropy | how evenly it uses its range | 04 |
# | APoZ | how often it is not zero (the *average percentage of zeros*, turned round) | 04 |
# | mutual information | how much it tells about the class, alone | 04 |
# | random | nothing: the control | 02 |
#
# All of them give one score to each hidden unit, and all 100 units of a network are ranked
# together.


# %%
def hidden(scores):
    """Leave out the last layer: its units are the classes."""
    return {name: scores[name] for name in ("fc1", "fc2")}


def of_units(criterion):
    """Turn a criterion for weights into one for units: the sum over each unit's weights."""
    return lambda model: pe.per_unit(criterion(model), model)


# %%
criteria = {
    "magnitude": of_units(pe.magnitude),
    "sensitivity": of_units(partial(pe.sensitivity, data=train)),
    "taylor": partial(pe.taylor_units, data=train),
    "fisher": of_units(partial(pe.fisher, data=train)),
    "entropy": partial(pe.entropy, data=train, bins=30),
    "APoZ": partial(pe.apoz, data=train),
    "mutual information": partial(pe.mutual_information, data=train, bins=30),
}
scores = {name: [hidden(score(m)) for m in dense] for name, score in criteria.items()}


# %%
def by_chance(draw):
    """Return, for each network, one random number for each unit: that of its first weight."""
    drawn = [pe.random(model, 10 * draw + seed) for seed, model in enumerate(dense)]
    return [{name: one[f"{name}.weight"][:, 0] for name in ("fc1", "fc2")} for one in drawn]


scores["random"] = by_chance(0)

# %% [markdown]
# ## Your guess
#
# What all of them try to predict can be measured: take the unit out, and see what the network can
# no longer do. That is **ablation**. It takes one run over the data for each unit, so nobody does
# it on a large network. On ours it is quick, and it is the truth about each single unit.
#
# **Whose ranking is most like that of ablation?** The rank correlation compares the places that two
# rankings give to the same units: it is 1 for the same order, 0 where one order says nothing about
# the other, and -1 for the reversed order.

# %%
my_guess = "fisher"  # your guess: a name from the table

# %%
scores["ablation"] = [hidden(pe.ablation(model, train)) for model in dense]


def agreement(name, other="ablation"):
    """Return the rank correlation of two criteria, one number for each network."""
    pairs = zip(scores[name], scores[other], strict=True)
    return [round(pe.rank_correlation(one, two).spearman, 2) for one, two in pairs]


# %% tags=["nbval-ignore-output"]
eight = [*criteria, "random"]
agreed = {name: agreement(name) for name in eight}
best = max(agreed, key=lambda name: sum(agreed[name]))
figure = plotting.bars(agreed, "rank correlation with ablation")
said = f"Measured: {best}, with {sum(agreed[best]) / seeds:.2f} on average."
lesson.reveal(my_guess, said, figure)

# %% [markdown]
# Look at them in three groups: those that follow the *loss* or the *output*, the size of the
# weights, and what a unit says by itself. Which group tells most about how much a unit is missed,
# and which one least? If being right means to predict ablation, the question is answered. Write
# that answer down.
#
# ## The idea: take it out, and measure
#
# With $P$ the performance of the whole network and $P_{-j}$ that of the network without unit $j$,
#
# $$\text{score}_j = \frac{P - P_{-j}}{|P|}$$
#
# "Without" means that the output of the unit is 0, after the normalisation and the activation: what
# the next layer would hear if the unit did not exist.
#
# ## Exercise 1: the judge
#
# `pe.apply_masks` and `pe.evaluate` do most of the work. A mask of units is `{"fc1": tensor of one
# True or False for each unit}`. `prunable_layers(model)` from `pruneedu.tensors` returns the layers
# by name. Write it for units: the check asks neither for the other levels nor for bad input to be
# refused; the library's version does both.

# %% exercise="ablation"
from pruneedu.pruning.ablation import ablation

# %%
lesson.check(ablation)

# %%
lesson.source("ablation")

# %% [markdown]
# The library does the same in another order. `without_each` computes what comes before the gap
# once, and then lets up to 64 networks, each with another unit missing, see a batch together.
#
# ## Exercise 2: compare two rankings
#
# The bars above hide a step. Scores of two criteria cannot be compared as numbers: one counts in
# shares of the accuracy, the other in nats. Their *ranks* can be. Write Spearman's rank correlation
# by hand. Mind the ties: of 100 units, some cost exactly the same number of examples.

# %% exercise="spearman"
from pruneedu.course.lessons.lesson_05.mean_ranks import spearman

# %%
lesson.check(spearman)

# %%
lesson.source("spearman")


# %%
def in_a_row(scores):
    return torch.cat([scores[name] for name in ("fc1", "fc2")])


truth = [in_a_row(score) for score in scores["ablation"]]
by_hand = [yours.spearman(in_a_row(s), t) for s, t in zip(scores["taylor"], truth, strict=True)]
same = [round(rho, 2) for rho in by_hand] == agreement("taylor")
print(f"the library says the same: {same}")

# %% [markdown]
# ### Do they agree with each other?
#
# Before you call eight criteria eight opinions, look which of them are nearly the same one.

# %% tags=["nbval-ignore-output"]
for name in eight:
    others = {o: sum(agreement(name, o)) / seeds for o in eight if o != name}
    nearest = max(others, key=others.get)
    print(f"{name:20} is most like {nearest:20} {others[nearest]:+.2f}")

# %% [markdown]
# ## Exercise 3: do they choose the same?
#
# A rank correlation looks at the whole order. A pair of scissors does not: it cuts once, and who
# stays at the top or at the bottom of those that stay is all the same. So compare the *choices*.
# (You need not check the input; the library's version does.)

# %% exercise="overlap"
from pruneedu.pruning.agreement import overlap

# %%
lesson.check(overlap)

# %%
lesson.source("overlap")

# %% tags=["nbval-ignore-output"]
shared = {
    name: [yours.overlap(s, t, 50) for s, t in zip(scores[name], scores["ablation"], strict=True)]
    for name in eight
}
label = "share of ablation's best 50 units that it chooses, too"
plotting.show(plotting.bars(shared, label, percent=True))

# %% [markdown]
# Mind where chance is. Two random halves of 100 units share 50 %, so a bar of 60 % is a small
# thing.
#
# ## Round one: the cut
#
# Now they compete for what we want: an accurate network of half the size. The lowest units go, all
# at once, and nothing is repaired. Ablation enters as well: it knows what each unit is worth. And
# chance is no single choice, so its accuracy is the mean of three draws for each network.
#
# **Half of the units go. Who keeps the highest accuracy?**

# %%
my_guess = "ablation"  # your guess: a name from the table, or "ablation"


# %%
def before_and_after(seed, score, level, epochs=tune):
    """Return the validation accuracy right after the cut, and after fine-tuning."""
    small = pe.apply_masks(dense[seed], pe.keep_top(score, level))
    tuned = fit(small, epochs, 10 + seed, lr=0.05)
    return [pe.evaluate(model, data.validation) for model in (small, tuned)]


# %%
levels = [0.3, 0.5, 0.7]  # shares of the units that go
half = levels.index(0.5)


def duel(score):
    """Return the accuracies of one criterion: [seeds, levels, 2], before and after."""
    return torch.tensor(
        [[before_and_after(i, one, level) for level in levels] for i, one in enumerate(score)]
    )


# %%
results = {name: duel(scores[name]) for name in scores if name != "random"}
results["random"] = torch.stack([duel(by_chance(draw)) for draw in range(3)]).mean(0)

# %% [markdown]
# The figure leaves out two of the nine, so that the lines can be told apart: fisher, which is most
# like taylor, and entropy, which is most like APoZ.

# %% tags=["nbval-ignore-output"]
whole = torch.tensor([[pe.evaluate(model, data.validation)] for model in dense])


def lines(column, names):
    """Return the accuracies of some criteria for a figure, from the whole network on."""
    rows = {name: torch.cat([whole, results[name][..., column]], 1) for name in names}
    return {name: ([0.0, *levels], row) for name, row in rows.items()}


shown = ["ablation", "magnitude", "sensitivity", "taylor", "APoZ", "mutual information", "random"]
labels = ("share of the units that went", "validation accuracy")
place = {name: at for at, name in enumerate(shown)}  # its colour in every figure
place |= {"fisher": place["taylor"] + 7, "entropy": place["APoZ"] + 7}  # dashed
place |= {"your own": 7, "the library's entry": 7}
draw = partial(plotting.curves, places=place)

# %% tags=["nbval-ignore-output"]
means = {name: 100 * rows[:, half, 0].mean() for name, rows in results.items()}
first, second, third = sorted(means, key=means.get, reverse=True)[:3]
found = f"{first} ({means[first]:.0f} %), then {second} ({means[second]:.0f} %) and {third}."
lesson.reveal(my_guess, found, draw(lines(0, shown), *labels, percent="xy"))

# %% [markdown]
# Look at who is up here. *Taylor* agrees with ablation most, and *mutual information* hardly does.
# Which of the two cuts better than chance? And ablation knows the truth about every unit: is it
# first, and is its lead a clear one? Criteria that know less should be far behind. If they are not,
# the truth about single units is not the truth about fifty of them. We come back to that.
#
# ## Round two: the repair
#
# Nobody uses a network like that. It is fine-tuned first, here for six epochs. Do the units that
# were cut come back, as the weights did in lesson 02?

# %%
masks = pe.keep_top(scores["taylor"][0], 0.5)
repaired = fit(pe.apply_masks(dense[0], masks), 1, seed=0, lr=0.05)
back = sum(
    int(repaired.get_submodule(n).weight[~keep].count_nonzero()) for n, keep in masks.items()
)
print(f"weights of cut units that are not zero after an epoch: {back}")

# %% [markdown]
# No. A single weight has a gradient as long as its unit speaks and its input does. A whole unit
# whose weights and bias are 0 is silent, and at 0 the slope of a ReLU is 0 in PyTorch: nothing
# reaches it any more.
#
# Right after the cut, mutual information was this far ahead of chance:


# %% tags=["nbval-ignore-output"]
def lead(name, column, level=half):
    """Return how far a criterion is ahead of chance, in points, for each network."""
    return 100 * (results[name][:, level, column] - results["random"][:, level, column])


at_first = lead("mutual information", 0)
print(f"{at_first.mean():+.1f} points, {at_first.min():+.1f} to {at_first.max():+.1f}")

# %% [markdown]
# **How far is it ahead of chance after fine-tuning?**

# %%
my_guess = 4  # your guess, in points

# %% tags=["nbval-ignore-output"]
in_the_end = lead("mutual information", 1)
found = f"{in_the_end.mean():+.1f} points, {in_the_end.min():+.1f} to {in_the_end.max():+.1f}."
lesson.reveal(my_guess, found, draw(lines(1, shown), *labels, percent="xy"))

# %% [markdown]
# What is left of the lead? A criterion that is not ahead of chance in the end was not worth the
# work: whoever had kept any 50 units would have as good a network. Here is everybody, in points
# ahead of chance, at 50 %. A word stands at the end where all networks agree on the sign.


# %% tags=["nbval-ignore-output"]
def told(points):
    word = "ahead" if points.min() > 0 else "behind" if points.max() < 0 else ""
    return f"{points.mean():+5.1f} ({points.min():+.1f} to {points.max():+.1f}) {word}"


print(f"{'':20}{'before fine-tuning':30}after")
for name in sorted(set(results) - {"random"}, key=lambda name: -lead(name, 1).mean()):
    print(f"{name:20}{told(lead(name, 0)):30}{told(lead(name, 1))}")

# %% [markdown]
# Read the two columns side by side.
#
# - **Ahead both times**: ablation, and fisher by less.
# - **Ahead before, its lead gone after**: mutual information. On average it is even *behind*.
# - **No better than chance before, better on average after**: taylor. A cut that breaks as much as
#   a random one can leave a network that is easier to repair.
# - **Behind both times**: entropy and APoZ, although both rank the units a little like ablation. To
#   be a little like the truth is not enough to be better than no ranking at all.
#
# ### Who loses before fine-tuning and wins after it?
#
# With every network, before *and* after:


# %% tags=["nbval-ignore-output"]
def ahead(one, other, at, column):
    return bool((results[one][:, at, column] > results[other][:, at, column]).all())


for at, level in enumerate(levels):
    for one, other in permutations(results, 2):
        if ahead(other, one, at, 0) and ahead(one, other, at, 1):
            print(f"{100 * level:.0f} % gone: {one} loses to {other} before, and wins after")

# %% [markdown]
# So there are some. When we measured, *taylor* and *sensitivity* lost first and won later against
# *mutual information*. Other lines came and went from one machine to the next.
#
# Do not count the lines. If no criterion differed from any other, three networks would still agree
# like this in one pair of 32, and with 36 pairs at three levels that makes three or four lines by
# luck alone. What makes the fall of mutual information more than luck is the table above: it has
# lost to *chance* what it was ahead.
#
# ### Why does it fall back?
#
# Mutual information asks what a unit tells about the class *alone*. The units that tell most may
# all tell the same. Then they still answer well together right after the cut, and there is not much
# else left to learn from. If that is so, it can be measured: how alike are the units that stay?


# %%
def said_by(model):
    """Return what each unit of the first layer says of each example: [examples, units]."""
    with torch.no_grad():
        return model[:3](train.x)  # flatten, fc1, relu1


# %%
def likeness(model, score):
    """Return the mean size of the correlation of any two of the 50 % that stay, first layer."""
    kept = said_by(model)[:, pe.keep_top(score, 0.5)["fc1"]]
    kept = kept[:, kept.std(0) > 0]
    pairs = torch.corrcoef(kept.T).abs()
    mean = (pairs.sum() - len(pairs)) / (len(pairs) * (len(pairs) - 1))
    return round(mean.item(), 3)


# %% tags=["nbval-ignore-output"]
alike = {
    name: [likeness(model, score) for model, score in zip(dense, one, strict=True)]
    for name, one in scores.items()
}
plotting.show(plotting.bars(alike, "mean size of the correlation of the units that stay"))

# %% [markdown]
# The one that fell back has kept units that say the same, far more than a random choice would. That
# is no proof, but it is what the explanation predicts.
#
# ### How much repair?
#
# Six epochs were our choice, so the verdict might be about six epochs. The next figure runs from
# none to twelve; each point is a fine-tuning of its own, from the cut to its end, not a stop on the
# way of a longer one. Chance is a single draw here.

# %%
lengths = [n for n in (1, 3, 6, 12) if n <= 2 * tune]
chosen = ["sensitivity", "mutual information", "entropy", "random"]


def by_length(name):
    """Return the accuracies at 50 %, a row for each seed, after no epoch and each length."""
    runs = [[before_and_after(i, s, 0.5, n) for n in lengths] for i, s in enumerate(scores[name])]
    return [[run[0][0], *(after for _, after in run)] for run in runs]


# %% tags=["nbval-ignore-output"]
lengthy = {name: ([0, *lengths], by_length(name)) for name in chosen}
plotting.show(draw(lengthy, "epochs of fine-tuning", labels[1], percent="y"))

# %% [markdown]
# The lines cross within the first epochs. After that even chance keeps most of what the best keeps,
# and mutual information, which was first, does not come back. When you read that a criterion is
# better, ask two things first: *after how much fine-tuning, and how far ahead of chance?* Many
# papers do not say (Blalock 2020).
#
# ## Exercise 4: the scoreboard
#
# Somebody is always first. Whether anybody has *won* is a question of the spread. Write the rule
# down before you look at the numbers.

# %% exercise="duel_winner"
from pruneedu.course.lessons.lesson_05.decision import duel_winner

# %%
lesson.check(duel_winner)

# %%
lesson.source("duel_winner")


# %% tags=["nbval-ignore-output"]
def verdict(results):
    for at, level in enumerate(levels):
        accuracies = {name: rows[:, at] for name, rows in results.items()}
        leader = max(accuracies, key=lambda name: accuracies[name][:, 1].mean())
        winner = yours.duel_winner(accuracies)
        said = "wins" if winner else "is first, but that is no clear lead"
        print(f"{100 * level:.0f} % of the units gone: {leader} {said}")


verdict(results)

# %% [markdown]
# If nobody wins, that is a result, too: three networks cannot tell the leaders apart. The losers
# they can.
#
# ## Play: the explorer
#
# On the left is the second layer of the first network, a row for each of its units and a column for
# each unit of the first layer: a connection stays if both of its ends do. On the right is what is
# left of the accuracy before fine-tuning. **Find the criterion that empties the columns first**,
# which means that it takes most from the first layer. Then find one that takes from both alike.


# %% tags=["nbval-ignore-output"]
grid = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def cut(score, sparsity):
    return pe.evaluate(pe.apply_masks(dense[0], pe.keep_top(score, sparsity)), data.validation)


curve = {name: (grid, [cut(one[0], level) for level in grid]) for name, one in scores.items()}


# %% tags=["nbval-ignore-output"]
def explore(criterion, sparsity):
    score = scores[criterion][0]
    masks = pe.keep_top(score, sparsity)
    stays = {"fc2.weight": masks["fc2"][:, None] & masks["fc1"]}
    shown = {name: curve[name] for name in dict.fromkeys((criterion, "random"))}
    counts = f"{int(masks['fc1'].sum())} of 60 and {int(masks['fc2'].sum())} of 40 units stay"
    title = f"{counts}, validation accuracy {100 * cut(score, sparsity):.1f} %"
    return plotting.mask_beside_curves(stays, shown, sparsity, labels[1], title, places=place)


lesson.play(explore, criterion=list(curve), sparsity=(0.0, 0.9, 0.05, 0.5))

# %% [markdown]
# ## One at a time, and all together
#
# Ablation knows what each unit is worth. Why is its lead in round one not a clear one? Here is the
# smallest network that shows it. It has one input and two hidden units that do the same: twins.

# %%
twins = pe.models.mlp(1, 2, 2)
state = {
    "fc1.weight": torch.tensor([[1.0], [1.0]]),
    "fc1.bias": torch.zeros(2),
    "fc2.weight": torch.tensor([[0.0, 0.0], [1.0, 1.0]]),
    "fc2.bias": torch.tensor([0.5, 0.0]),
}
twins.load_state_dict(state)
two = Split(torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1]))

# %%
print("without one or the other:", yours.ablation(twins, two)["fc1"].tolist())
both = pe.apply_masks(twins, {"fc1": torch.tensor([False, False])})
print("accuracy with both, and without both:", pe.evaluate(twins, two), pe.evaluate(both, two))

# %% [markdown]
# Each of them costs nothing. Both together cost all that the network has learned: 0.5 is what
# chance gets in two classes. A ranking by ablation puts the twins at the very bottom and takes
# both. The score of a unit was measured *with all others in place*, and after the first cut they
# are not.
#
# So ask again: take out a few, measure all that are left once more, take out the next.


# %%
def again(model, level, rounds=5):
    """Return masks of a cut in several rounds, each by the ablation of what is left."""
    masks = None
    for step in range(1, rounds + 1):
        left = pe.apply_masks(model, masks) if masks else model
        masks = pe.keep_top(hidden(pe.ablation(left, train)), level * step / rounds, masks=masks)
    return masks


# %% tags=["nbval-ignore-output"]
asked = [pe.apply_masks(model, again(model, 0.5)) for model in dense]
asking = {
    "ablation, asked once": results["ablation"][:, half, 0],
    "ablation, five times": [pe.evaluate(model, data.validation) for model in asked],
    "mutual information": results["mutual information"][:, half, 0],
    "random": results["random"][:, half, 0],
}
plotting.show(plotting.bars(asking, "accuracy right after the cut, 50 % gone", percent=True))

# %% [markdown]
# Now the truth pays off. It is still the truth about the next ten units only, and it says nothing
# about what fine-tuning can mend.
#
# ## Exercise 5: enter your own
#
# You have seen what each of the eight overlooks. Write one that you would bet on. The check
# measures it on networks of its own, right after the cut: that shows whether it knows anything at
# all. The duel comes after that. (The cell below is a start, with a loop over the hidden layers.)

# %% exercise="own_criterion"
from pruneedu.course.lessons.lesson_05.own_entry import own_criterion

# %%
lesson.check(own_criterion)

# %% tags=["nbval-ignore-output"]
entry = "your own" if yours.own_criterion is own_criterion else "the library's entry"
scores[entry] = [hidden(yours.own_criterion(model, train)) for model in dense]
results[entry] = duel(scores[entry])
at_half = [{name: row[:, half, at] for name, row in results.items()} for at in (0, 1)]
for when, bars in zip(("before", "after"), at_half, strict=True):
    plotting.show(plotting.bars(bars, f"accuracy {when} fine-tuning, 50 % gone", percent=True))

# %% tags=["nbval-ignore-output"]
verdict(results)

# %% [markdown]
# ## Break: everybody beats chance
#
# A report repeats the duel with 70 % of the units gone. Some of the criteria are turned from
# weights to units by a sum, so the author treats the control alike: a random number for each
# weight, summed over each unit. It ends with the sentence "every criterion beats chance by a wide
# margin".
#
# **What accuracy does this control reach after fine-tuning?** That of our own duel is in the figure
# of round two, at 70 %.

# %%
my_guess = 42  # your guess, in per cent

# %%
summed = [hidden(pe.per_unit(pe.random(m, seed), m)) for seed, m in enumerate(dense)]
reported = [before_and_after(seed, s, 0.7)[1] for seed, s in enumerate(summed)]

# %% tags=["nbval-ignore-output"]
mean = 100 * sum(reported) / seeds
honest = 100 * results["random"][:, -1, 1].mean()
lesson.reveal(my_guess, f"{mean:.0f} %. The control of our own duel reached {honest:.0f} %.")

# %% [markdown]
# Both are random, and nothing in the cell is misspelt. **What is wrong? Find out before you read
# on.** Look at which units the control has kept.

# %%
# A cell for your search: pe.keep_top(summed[0], 0.7)

# %%
for name, row in pe.keep_top(summed[0], 0.7).items():
    inputs = dense[0].get_submodule(name).weight.shape[1]
    print(f"{name}: {int(row.sum())} of {len(row)} units stay, each with {inputs} weights")

# %% [markdown]
# A unit of the second layer has 60 weights, one of the first has 40. A sum of 60 random numbers is
# larger than a sum of 40, nearly always. So this "chance" is certain: it takes the first layer
# away, all of it, and nothing can be learned through a layer that is not there. It ranks rows by
# their length.
#
# A broken control makes everybody look good. But that is not all. Who else sums over rows?
# *Magnitude does, in our own duel*, as do sensitivity and fisher. There are two repairs: the mean
# in place of the sum, or a ranking for each layer alone.


# %%
def tuned_to(score, scope="global"):
    """Return the accuracies after fine-tuning with 70 % of the units gone, one a network."""
    small = [
        pe.apply_masks(m, pe.keep_top(s, 0.7, scope)) for m, s in zip(dense, score, strict=True)
    ]
    tuned = [fit(model, tune, 10 + seed, lr=0.05) for seed, model in enumerate(small)]
    return [pe.evaluate(model, data.validation) for model in tuned]


# %%
by_weights = {
    "magnitude": pe.magnitude,
    "sensitivity": partial(pe.sensitivity, data=train),
    "fisher": partial(pe.fisher, data=train),
}
ways = {}
for name, criterion in by_weights.items():
    averages = [hidden(pe.per_unit(criterion(model), model, torch.mean)) for model in dense]
    ways[f"{name}, sum"] = results[name][:, -1, 1]
    ways[f"{name}, mean"] = tuned_to(averages)
    ways[f"{name}, each layer alone"] = tuned_to(scores[name], "layer")

# %% tags=["nbval-ignore-output"]
ways["random, one for each unit"] = results["random"][:, -1, 1]
plotting.show(plotting.bars(ways, "accuracy after fine-tuning, 70 % gone", percent=True))

# %% [markdown]
# Look at magnitude: with one word it goes from no better than chance to the highest mean in this
# figure. Our verdict on magnitude was a verdict on *how two layers were compared*. Now look at
# sensitivity, with the same repair: it falls far below chance. Neither the sum nor the mean is the
# truth. Each is a convention about how much a unit of one layer counts against a unit of another,
# and nobody has measured that.
#
# *Each layer alone* needs no such convention, and has two others: that each layer has the same
# share to give, and that you know it. Molchanov and others (2017) divide the scores of each layer
# by their norm, which is one more.
#
# So which criterion is right? The question was not complete. A criterion comes with a way to add
# up, with a scope, with a number of rounds and with an amount of fine-tuning, and the duel is
# between all of that. What you can carry home are three habits: **a control that is honest, the
# measurement after the repair, and a spread.**
#
# ## The test set, once
#
# The leader of round two, the one that fell back, and chance (one draw), with 50 % of the units
# gone, on examples that no choice has seen. There are 1,000, so a point is ten examples. The first
# bar is the whole network, trained on for as many epochs.

# %% tags=["nbval-ignore-output"]
after = at_half[1]
leader = max(after, key=lambda name: after[name].mean())
final = {"all units, trained on": [{}] * seeds}
for name in dict.fromkeys((leader, "mutual information", "random")):
    final[name] = [pe.keep_top(score, 0.5) for score in scores[name]]


# %% tags=["nbval-ignore-output"]
def tested(seed, masks):
    small = pe.apply_masks(dense[seed], masks) if masks else dense[seed]
    return pe.evaluate(fit(small, tune, 10 + seed, lr=0.05), data.test)


accuracies = {name: [tested(*at) for at in enumerate(masks)] for name, masks in final.items()}
plotting.show(plotting.bars(accuracies, "test accuracy, 50 % of the units gone", percent=True))

# %% [markdown]
# Has the order of round two held? And what has half of the network cost, cut by chance?
#
# ## Quiz

# %%
lesson.quiz("pair", answer="b")

# %%
lesson.quiz("before", answer="c")

# %%
lesson.quiz("rows", answer="a")

# %% [markdown]
# ## Where it goes next
#
# - Molchanov and others: *Importance estimation for neural network pruning* (2019). Read it for
#   criteria that are held against ablation first, as you did, and then cut a little at a time.
# - Blalock and others: *What is the state of neural network pruning?* (2020). Read section 4 for 81
#   papers that can hardly be compared, and go on to what a comparison should report.
# - Morcos and others: *On the importance of single directions for generalization* (2018). Read it
#   for units that tell the classes apart, alone, and are not missed.
#
# All of this was about which *units* go. Lesson 06 asks the same of the inputs.
