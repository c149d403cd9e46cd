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
# # 04 Information: does a neuron that varies more know more?
#
# Lesson 02 looked at the weights, and lesson 03 at the slopes of the loss. This one listens to what
# the units *say*. A unit that says the same of every picture cannot tell two of them apart, so it
# can go. That is hard to argue with. Then a unit that says many different things should be worth
# more. *Does a neuron that varies more know more?*
#
# You will measure how much a unit varies, how much it knows of the class, and how much the network
# needs it. These are three different things. You will also see how much of each number comes from
# the way you counted.
#
# You need lessons 00 and 02. Time: 35 minutes to read and run, and 65 for the five exercises.
# Computing: about half a minute.

# %%
from functools import partial

import pruneedu as pe
import torch
import torch.nn.functional as F
from pruneedu import plotting
from pruneedu.course import Lesson
from pruneedu.data import Split
from pruneedu.training import cosine, sgd

lesson = Lesson("04")
yours = lesson.yours  # your functions once they pass, the library's until then
epochs, longer, seeds = lesson.budget(epochs=6, longer=12, seeds=4)
bins = 30

# %% [markdown]
# ## The network
#
# The data are the small pictures of clothes of lesson 02, half of them. The network has one hidden
# layer of 50 units. (A `Split` is a pair: the inputs `x` of some examples and their classes `y`.)
# We train it once for each seed. What we find out about units we find out on the training and the
# validation pictures; the test pictures wait until the end.

# %%
data = pe.load("fashion-mini")
half = Split(data.train.x[:5000], data.train.y[:5000])


def train(model, seed, split=half, epochs=epochs):
    settings = {"optimizer": partial(sgd, lr=0.1), "schedule": cosine, "batch_size": 64}
    return pe.fit(model, split, epochs, seed=seed, progress=False, **settings).model


# %%
def trained(seed, inputs=784, hidden=50, **how):
    pe.seed_everything(seed)  # the initial weights
    return train(pe.models.mlp(inputs, hidden, 10), seed, **how)


dense = [trained(seed) for seed in range(seeds)]
print(f"{seeds} networks, each with {len(dense[0].fc1.weight)} hidden units")

# %% [markdown]
# ## Your guess
#
# Which unit does the network need most? Silence each unit in turn, and look how much the loss
# rises: this is **ablation**. It is slow, and it is what we will hold everything else against.
#
# The rival is a **random projection**: 784 weights that chance has drawn and nobody has trained.
# Multiply them with the pixels and add up.
#
# Both give one number for each picture. Sort the numbers of each into 30 bins of equal width, from
# its least to its greatest. The **entropy** says how evenly the bins are used: 0 if all pictures
# fall into one bin, log 30 = 3.4 if they spread over all alike. So it is large for what varies
# much.
#
# **Which has the higher entropy: the unit that the network needs most, or the random projection?**

# %%
my_guess = "unit"  # your guess: "unit" or "projection"


# %%
def log_likelihood(logits, y):
    return -F.cross_entropy(logits, y).item()  # higher is better, as a metric should be


needed = [pe.ablation(model, data.validation, log_likelihood)["fc1"] for model in dense]
best = [int(score.argmax()) for score in needed]
projections = pe.models.mlp(784, 200)  # a single layer, untrained: 200 random projections


# %%
def says(model, split=half):
    """Return what each unit of the first layer says of each example: [examples, units]."""
    with torch.no_grad():
        return model[:3](split.x)  # flatten, fc1, and the ReLU where there is one


# %%
varies = [pe.entropy(model, half, bins)["fc1"] for model in dense]
by_chance = pe.entropy(projections, half, bins)["fc1"]
of_best = torch.stack([score[unit] for score, unit in zip(varies, best, strict=True)])
above = (by_chance > of_best.max()).float().mean()

# %% tags=["nbval-ignore-output"]
found = f"{100 * above:.0f} % of 200 projections have a higher entropy than any of these units."
shown = {"most needed unit": says(dense[0])[:, best[0]], "projection": says(projections)[:, 0]}
notes = {"most needed unit": f"{of_best[0]:.2f} nats", "projection": f"{by_chance[0]:.2f} nats"}
lesson.reveal(my_guess, found, plotting.unit_histograms(shown, bins, notes))

# %% [markdown]
# Look at the two shapes as well: on the right a bell, on the left a heap at zero and a tail.
#
# ## The heap at zero
#
# The heap is the ReLU's: whatever is negative before it is 0 after it. The share of examples at 0
# is the **average percentage of zeros**, APoZ. A unit with an APoZ of 1 is *dead*: it says 0 of
# everything. Hu and others (2016) prune the units with the most zeros. A score is high for what
# matters, so theirs is
#
# $$\text{score} = 1 - \text{APoZ} = 1 - \frac{\text{zeros}}{\text{outputs}}$$
#
# ## Exercise 1: zeros
# `passes.unit_outputs(model, x)` listens: it returns what the units of each layer say of a batch,
# after normalisation and activation. A unit of a linear layer has one position, one of a
# convolution many.

# %%
from pruneedu.pruning import passes

spoken = passes.unit_outputs(dense[0], half.x[:5])
print("examples, units, positions:", {name: tuple(said.shape) for name, said in spoken.items()})

# %% [markdown]
# Two helpers do the chores of every criterion. `with passes.scoring(model, data, labels=False):`
# checks the data and holds the network in eval mode; `passes.as_scores(totals, model)` checks the
# scores, and refuses a layer in which every unit is dead.
#
# Of what the docstrings list under *Raises*, the checks of this lesson ask for four things: a layer
# in which every unit is dead, fewer than two bins, labels of a single class, and no order to
# shuffle by. The two helpers refuse the rest.

# %% exercise="apoz"
from pruneedu.pruning.criteria import apoz

# %%
lesson.check(apoz)

# %%
lesson.source("apoz")

# %% tags=["nbval-ignore-output"]
speaks = [yours.apoz(model, half)["fc1"] for model in dense]
for seed, score in enumerate(speaks):
    rare = int(((score > 0) & (score < 0.01)).sum())
    print(f"network {seed}: {int((score == 0).sum())} units are dead, {rare} speak in under 1 %")

# %% [markdown]
# Remember these numbers. They will explain a success later on.
#
# ## The idea: entropy
#
# With $n_b$ of $N$ examples in bin $b$, the share of the bin is $p_b = n_b / N$, and
#
# $$H = -\sum_b p_b \log p_b$$
#
# With the natural logarithm, its unit is the *nat*. An empty bin adds nothing: $0 \log 0$ is 0 in
# the formula. In floating point it is not, so take care.
#
# ## Exercise 2: the entropy of a unit
#
# Luo and Wu (2017) prune the filters of convolutions that have the lowest entropy. A filter says
# one number for each position; they take the mean over all of them first. The docstring says where
# the bins begin and end. The library counts with a function of its own, `histograms`. Write the
# counting yourself: it is where the mistakes are.

# %% exercise="entropy"
from pruneedu.pruning.criteria import entropy

# %%
lesson.check(entropy)

# %%
lesson.source("entropy")

# %% [markdown]
# ### Give the rival a ReLU
#
# Above, what nobody trained varied more. So *varying* is not what training has bought. But the
# comparison was not quite fair: the projection has no heap at zero. Here it has a ReLU as well,
# which makes it an untrained hidden unit.

# %% tags=["nbval-ignore-output"]
untrained = pe.models.mlp(784, 200, 10)
with_relu = yours.entropy(untrained, half, bins)["fc1"]


def on_average(scores, of_projections, of_untrained):
    """Return the rows of a figure: the unit most needed, and means over the units of a group."""
    return {
        "most needed unit": [score[unit] for score, unit in zip(scores, best, strict=True)],
        "all units alive": [s[z > 0].mean() for s, z in zip(scores, speaks, strict=True)],
        "projections": of_projections.view(seeds, -1).mean(1),  # as many groups as networks
        "with a ReLU": of_untrained.view(seeds, -1).mean(1),
    }


# %% tags=["nbval-ignore-output"]
rows = on_average(varies, by_chance, with_relu)
plotting.show(plotting.bars(rows, "entropy in nats"))
print(f"untrained units with a ReLU: from {with_relu.min():.2f} to {with_relu.max():.2f} nats")

# %% [markdown]
# With its zeros, an untrained unit varies about as much as the one that the network needs most. The
# line below the figure says more than the bar: an untrained unit can have almost any entropy. It
# depends on where chance has put its zero.
#
# So for units with a ReLU the entropy says, above all, how often a unit is not zero. How nearly is
# it the same as APoZ? The *rank correlation* tells: it is 1 if two rankings have the same order, 0
# if one says nothing about the other, and -1 if the order is reversed.

# %% tags=["nbval-ignore-output"]
for seed in range(seeds):
    same = pe.rank_correlation({"fc1": varies[seed]}, {"fc1": speaks[seed]}).spearman
    print(f"network {seed}: rank correlation of entropy and 1 - APoZ {same:.2f}")

# %% [markdown]
# ## To vary, and to know
#
# A unit can vary for a reason or for none. To *know* means: once I have heard the unit, I am less
# unsure of the class. Split the examples by class $y$, and see how much variation is left within
# the classes. What is gone is what the unit and the class have in common, their **mutual
# information**:
#
# $$I(T; y) = H(T) - \sum_c p_c \, H(T \mid y = c)$$
#
# A projection that spreads as widely within each class as over all has a high $H(T)$, and $I$ is 0.
# ## Exercise 3: mutual information with the class
#
# You have counted once, so from here on you may leave it to the library: `histograms(model, data,
# bins, positions, batch_size)` gives the counts of each layer.

# %%
from pruneedu.pruning.histograms import histograms

table = histograms(dense[0], half, bins, "mean", batch_size=128)
print("units, bins, classes:", {name: tuple(counts.shape) for name, counts in table.items()})

# %% exercise="mutual_information"
from pruneedu.pruning.criteria import mutual_information

# %%
lesson.check(mutual_information)

# %%
lesson.source("mutual_information")

# %% [markdown]
# Now the same four groups, by what they know. There are ten classes, alike in size: to know all
# would be log 10 = 2.3 nats.

# %% tags=["nbval-ignore-output"]
measure = partial(yours.mutual_information, data=half, bins=bins)
knows = [measure(model)["fc1"] for model in dense]
rows = on_average(knows, measure(projections)["fc1"], measure(untrained)["fc1"])
plotting.show(plotting.bars(rows, "information about the class in nats"))

# %% [markdown]
# They have changed places: **the projections vary more, and the most needed unit knows more.** Most
# of what a projection says is about other things than the class.
#
# But look at the second bar. The average unit alive knows about as much as a projection. So
# training has not made each unit an expert.
#
# ## Counting makes information
#
# Before you trust a number with three digits, ask what it would be if there were nothing to find.
# Shuffle the labels: each picture gets the class of another one. Nothing is left to know. Do we
# measure 0?

# %%
sizes = [100, 300, 1000, 3000]
shuffled = half.y[torch.randperm(len(half.y), generator=torch.Generator().manual_seed(0))]


def known(size, bins, labels=shuffled):
    """Return what a unit seems to know of the labels of the first examples, on average."""
    few = Split(half.x[:size], labels[:size])
    return yours.mutual_information(projections, few, bins)["fc1"].mean().item()


# %%
def against_size(lines, xlabel, ylabel, places=range(7), legend="best"):
    """Show lines against numbers of examples, which grow from point to point by a factor."""
    figure = plotting.curves(lines, xlabel, ylabel, places=dict(zip(lines, places, strict=False)))
    panel, sizes = figure.axes[0], next(iter(lines.values()))[0]
    panel.legend(frameon=False, loc=legend)
    panel.set_xscale("log")
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
    panel.minorticks_off()
    plotting.show(figure)


# %% tags=["nbval-ignore-output"]
lines = {
    f"{b} bins, shuffled labels": (sizes, [known(size, b) for size in sizes]) for b in (10, 30, 100)
}
lines["30 bins, true labels"] = (sizes, [known(size, bins, half.y) for size in sizes])
against_size(lines, "examples", "information in nats")

# %% [markdown]
# From 100 pictures a random projection seems to know a lot of labels that were drawn by chance. The
# reason is that the histogram is no truth but a sample. Give 100 examples 300 pairs of a bin and a
# class to fall into, and most pairs hold one example or none. That looks like order.
#
# It is a *bias*, not noise: another 100 pictures err to the same side. Put in the shares that you
# counted, and the entropy comes out too low on average, for $K$ bins by about
#
# $$\text{E}[\hat H] - H \approx -\frac{K - 1}{2N}$$
#
# (Miller 1955). Adding that again, with $K$ the bins that are not empty, is the **Miller–Madow**
# correction. Here are both for one projection, from samples of different sizes. The bins are the
# same throughout, from the least to the greatest of 10,000 pictures, because otherwise two things
# would change at once.


# %%
said = says(projections, data.train)[:, 0]
low, high = said.min().item(), said.max().item()


def two_entropies(values, bins):
    """Return the entropy of the shares that were counted, and the same after the correction."""
    counts = values.histc(bins, low, high)
    shares = counts / len(values)
    entropy = -torch.special.xlogy(shares, shares).sum()
    return entropy, entropy + ((counts > 0).sum() - 1) / (2 * len(values))


# %%
def sampled(size, bins, draws=20):
    """Return both entropies of random samples: [draws, 2]."""
    samples = [said[torch.randperm(len(said))[:size]] for _ in range(draws)]
    return torch.tensor([two_entropies(sample, bins) for sample in samples])


# %% tags=["nbval-ignore-output"]
numbers, lines = [30, 100, 300, 1000, 3000], {}
for b in (30, 100):
    pairs = torch.stack([sampled(size, b) for size in numbers], dim=1)  # [draws, numbers, 2]
    lines[f"{b} bins, as counted"] = (numbers, pairs[..., 0])
    lines[f"{b} bins, corrected"] = (numbers, pairs[..., 1])
against_size(lines, "examples", "entropy in nats", (0, 7, 1, 8), "center right")

# %%
for b in (30, 100):
    whole = two_entropies(said, b)[0]
    print(f"{b} bins, all 10,000: {whole:.2f} nats")

# %% [markdown]
# More bins give a higher entropy, because it is another question. Fewer examples give a lower one,
# because it is a worse answer. The correction mends some of the second, and nothing of the first.
# With more bins than examples it is lost as well: it cannot see the bins that no example has
# reached (Paninski 2003).
#
# ## Exercise 4: the control
#
# You need no formula for a bias if you can measure it. Score with true labels, score with shuffled
# ones, and take the difference: unit by unit, and over several shuffles. It works for any criterion
# that reads labels.

# %% exercise="above_chance"
from pruneedu.course.lessons.lesson_04.control import above_chance

# %%
lesson.check(above_chance)

# %% [markdown]
# Here it is on 300 pictures, for the projections, beside what 5,000 pictures say.

# %%
sample = Split(half.x[:300], half.y[:300])
orders = torch.stack([torch.randperm(300) for _ in range(10)])
binned = partial(yours.mutual_information, bins=bins)

# %% tags=["nbval-ignore-output"]
rows = {
    "300 pictures, as counted": binned(projections, sample)["fc1"],
    "300 pictures, above chance": yours.above_chance(binned, projections, sample, orders)["fc1"],
    "5,000 pictures, as counted": binned(projections, half)["fc1"],
}
for name, row in rows.items():
    print(f"{name}: {row.mean():.2f} nats on average, from {row.min():.2f} to {row.max():.2f}")

# %% [markdown]
# The first line is mostly chance, and the control takes it away: a little too much of it, if you
# trust the last line. Shuffled pairs of a bin and a class spread over more cells than true ones,
# and so chance has more to gain there. The control errs to the safe side.
#
# A unit that knows nothing comes out near 0, and as often below as above. Leave it there: cut off
# at 0, chance would have a mean above 0 again.
#
# ## Does the ranking care?
#
# Pruning needs only the order of the units. A bias that is the same for all changes nothing. Is it
# the same for all? Meet a second network before you look: 100 hidden units that read MNIST-1D, ten
# kinds of waves that are hard to tell apart. (In the figure, MI is the mutual information.)

# %%
waves = pe.load("mnist1d")
dense_1d = [trained(s, 40, 100, split=waves.train, epochs=longer) for s in range(seeds)]
worlds = {"clothes": (dense, half), "MNIST-1D": (dense_1d, waves.train)}


# %%
def agreement(measure, model, split):
    """Return the rank correlations of what few examples say of the units with what all say."""
    parts = [Split(split.x[:n], split.y[:n]) for n in (*few, len(split.x))]
    *some, whole = ({"fc1": measure(model, part, bins)["fc1"]} for part in parts)
    return [pe.rank_correlation(one, whole).spearman for one in some]


# %% tags=["nbval-ignore-output"]
few, lines = [100, 300, 1000], {}
for world, (models, split) in worlds.items():
    for name, measure in {"entropy": yours.entropy, "MI": yours.mutual_information}.items():
        lines[f"{name}, {world}"] = (few, [agreement(measure, model, split) for model in models])
against_size(lines, "examples", "rank correlation with all examples", (0, 5, 7, 12))


# %% tags=["nbval-ignore-output"]
def with_bins(measure, model, split):
    """Return the rank correlation of the scores with 5 bins and with 100."""
    coarse, fine = ({"fc1": measure(model, split, b)["fc1"]} for b in (5, 100))
    return pe.rank_correlation(coarse, fine).spearman


for world, (models, split) in worlds.items():
    for name, measure in {"entropy": yours.entropy, "MI": yours.mutual_information}.items():
        same = [with_bins(measure, model, split) for model in models]
        print(f"5 bins against 100, {name}, {world}: {min(same):.2f} to {max(same):.2f}")

# %% [markdown]
# It depends. Where units differ a lot, as dead ones do from living ones, any way of counting finds
# the order. Where the units are alike, few examples find less of it: much of the order by entropy,
# and next to nothing of that by mutual information. Entropy needs $K$ bins filled, mutual
# information $K$ bins for each of ten classes, and it pays for that. How many bins matters less
# than how many examples.
#
# The rule: *before you use a ranking, make it twice, from two halves of the data.* If the two
# disagree, you have ranked noise.
#
# ## What the network says
#
# So far each unit stood alone. The last criterion listens to the whole network: how sure is it of
# its answer, $H(p)$, and how does that change if the unit is silent?
#
# $$\text{score}_u = \frac{1}{N} \sum_i \left| H(p_i \text{ without } u) - H(p_i) \right|, \quad
# H(p_i) = -\sum_c p_{ic} \log p_{ic}$$
#
# Like ablation it silences each unit, but it reads no labels.
#
# ## Exercise 5: the entropy of the answers
#
# `without_each(model, data, statistic, "unit", batch_size)` silences each unit in turn, and scores
# it by `statistic(logits)` of what the network then says of all examples. Here the statistic is the
# accuracy.

# %% tags=["nbval-ignore-output"]
from pruneedu.pruning.ablation import without_each

right = partial(pe.accuracy, y=data.validation.y)
with passes.scoring(dense[0], data.validation):
    score = without_each(dense[0], data.validation, right, "unit", batch_size=128)["fc1"]
print(f"{100 * score[best[0]]:.1f} % are right without the most needed unit")

# %% [markdown]
# A layer in which every unit is dead is refused by `check_reached(model, data, batch_size)`, of the
# same module.

# %% exercise="output_entropy"
from pruneedu.pruning.criteria import output_entropy

# %%
lesson.check(output_entropy)

# %%
lesson.source("output_entropy")

# %% [markdown]
# ## A criterion has to find what is needed
# Six criteria, and chance as the control. For each network: does it rank the units as ablation
# does? 1 is the same order, 0 is what chance gives.


# %%
def criteria(model, split):
    """Return the scores of the hidden units by each criterion, all high for what matters."""
    scores = {"entropy": yours.entropy(model, split, bins), "1 - APoZ": yours.apoz(model, split)}
    scores["mutual information"] = yours.mutual_information(model, split, bins)
    scores["output entropy"] = yours.output_entropy(model, split)
    scores["variance"] = {"fc1": says(model, split).var(0)}
    scores["magnitude"] = pe.per_unit(pe.magnitude(model), model)
    scores["random"] = pe.per_unit(pe.random(model), model)
    return {name: score["fc1"] for name, score in scores.items()}


scored = [criteria(model, half) for model in dense]


# %%
def against_ablation(scored, truth, least=-1.0):
    """Return the rank correlations with ablation, of the units that speak more often than that."""
    found = {name: [] for name in scored[0]}
    for scores, needed in zip(scored, truth, strict=True):
        some = scores["1 - APoZ"] > least
        for name, score in scores.items():
            pair = ({"fc1": score[some]}, {"fc1": needed[some]})
            found[name].append(pe.rank_correlation(*pair).spearman)
    return found


# %% tags=["nbval-ignore-output"]
label = "rank correlation with ablation"
plotting.show(plotting.bars(against_ablation(scored, needed), f"{label}, clothes"))

# %% [markdown]
# All but chance find what the network needs, it seems, and entropy is among the good ones. **Before
# you read on: on MNIST-1D, what is the rank correlation of entropy and ablation?**

# %%
my_guess = 0.8  # your guess: from -1 to 1

# %% tags=["nbval-ignore-output"]
needed_1d = [pe.ablation(m, waves.validation, log_likelihood)["fc1"] for m in dense_1d]
scored_1d = [criteria(model, waves.train) for model in dense_1d]
found_1d = against_ablation(scored_1d, needed_1d)
each = found_1d["entropy"]
found = f"It is {sum(each) / seeds:.2f}: from {min(each):.2f} to {max(each):.2f} over the seeds."
lesson.reveal(my_guess, found, plotting.bars(found_1d, f"{label}, MNIST-1D"))

# %% [markdown]
# Compare the two figures of bars. Where does the correlation on clothes come from? Remember the
# zeros that you counted. On clothes many units are dead, and others speak of few pictures. Nobody
# needs those, and whatever counts variation ranks them last. So take them out: rank only the units
# that speak in more than some share of the pictures.

# %% tags=["nbval-ignore-output"]
least = [0.0, 0.01, 0.05, 0.1, 0.2]
tables = [against_ablation(scored, needed, share) for share in least]
names = ("entropy", "random", "output entropy", "variance", "ablation", "mutual information")
draw = partial(plotting.curves, places={name: at for at, name in enumerate(names)})
rows = {name: torch.tensor([table[name] for table in tables]).T for name in scored[0]}
lines = {name: (least, rows[name]) for name in names if name not in ("random", "ablation")}
plotting.show(draw(lines, "units that speak more often than", label, percent="x"))

# %% tags=["nbval-ignore-output"]
for world, tables in {"clothes": scored, "MNIST-1D": scored_1d}.items():
    share = torch.cat([scores["1 - APoZ"] for scores in tables])
    rare, often = share.quantile(0.1), share.quantile(0.9)
    print(f"{world}: most units speak in {100 * rare:.0f} to {100 * often:.0f} % of the examples")

# %% [markdown]
# Take away units, and any correlation may fall. But output entropy keeps its line, variance most of
# it, and entropy and mutual information lose theirs. Among units that speak about as often as each
# other, as all do on MNIST-1D, these two have little left to say. Look at both figures of bars
# again.
#
# - **Entropy** and **APoZ** find units that say nothing, or nearly. That is worth having, and it is
#   all.
# - **Mutual information** asks what a unit knows *alone*. But the network needs units in company:
#   what one says another may say as well, and what means nothing alone may decide together with
#   another. Morcos and others (2018) found it in large networks: how well a unit tells the classes
#   apart says little about how much it is needed.
# - **Variance** does what entropy was meant to do, and better. The reason is the scale. A unit that
#   speaks ten times louder has the same entropy, since the bins stretch with it. The next layer
#   hears the difference.
# - **Magnitude** listens to nothing, and on MNIST-1D it beats all that listen to one unit alone.
# - **Output entropy** listens to the whole network. Of all that listen it is nearest to ablation,
#   on MNIST-1D and, once the dead units are out, on clothes. On MNIST-1D magnitude comes as near.
#   It costs as much as ablation; what it saves is the labels.
#
# ## Play: the explorer
#
# A network that reads MNIST-1D. On the left is what one unit says, in the middle all units against
# ablation with this one marked, on the right what is left of the accuracy when the lowest units go.
#
# **Start with the unit of the highest entropy: does the network need it? At which rank is the unit
# that it needs most? Is there a number of bins at which the cut by entropy beats chance? And is
# mutual information any better?**


# %%
shares = [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def after_cut(model, score, split):
    """Return the accuracy of a network after the lowest units have gone, for each share."""
    masks = [pe.keep_top({"fc1": score}, share) for share in shares]
    return [pe.evaluate(pe.apply_masks(model, mask), split) for mask in masks]


# %% tags=["nbval-ignore-output"]
model = dense_1d[0]
by_luck = (shares, after_cut(model, scored_1d[0]["random"], waves.validation))
measures = {"entropy": yours.entropy, "mutual information": yours.mutual_information}


def explore(criterion, bins, rank):
    score = measures[criterion](model, waves.train, bins)["fc1"]
    unit = int(score.argsort(descending=True)[rank - 1])
    same = pe.rank_correlation({"fc1": score}, {"fc1": needed_1d[0]}).spearman
    labels = (f"{criterion} in nats, rank correlation {same:.2f}", "share of the loss added")
    cut = {criterion: (shares, after_cut(model, score, waves.validation)), "random": by_luck}
    said = says(model, waves.train)[:, unit]
    return plotting.unit_explorer(said, bins, (score, needed_1d[0], unit), labels, cut)


lesson.play(explore, criterion=list(measures), bins=(2, 100, 1, 30), rank=(1, 100, 1, 1))

# %% [markdown]
# ## Break: the opposite of the first figure
#
# Somebody repeats the first measurement. All examples at once do not fit into memory, so it is done
# in batches, and the mean over the batches is taken. The network is scored on a large machine, in
# batches of 1,000, the wide layer of projections on a small one, in batches of 4.


# %%
def entropy_by_batches(model, size):
    """Return the mean over the batches of each unit's entropy."""
    batches = [Split(x, None) for x in half.x[:1000].split(size)]
    return torch.stack([pe.entropy(model, batch, bins)["fc1"] for batch in batches]).mean(0)


# %% tags=["nbval-ignore-output"]
unit = entropy_by_batches(dense[0], 1000)[best[0]]
projection = entropy_by_batches(projections, 4).mean()
print(f"most needed unit {unit:.2f} nats, projections {projection:.2f} nats")

# %% [markdown]
# "The trained unit varies more than the projections do." The cell runs, the numbers look sound, and
# they contradict your first figure. **What is wrong? Find out before you read on.** A hint: what is
# the highest entropy that 4 examples can have?

# %%
# A cell for your search: call entropy_by_batches with other sizes.

# %% tags=["nbval-ignore-output"]
per_batch = [4, 16, 64, 256, 1000]
lines = {
    "most needed unit": (per_batch, [entropy_by_batches(dense[0], s)[best[0]] for s in per_batch]),
    "projections": (per_batch, [entropy_by_batches(projections, s).mean() for s in per_batch]),
    "log of the batch size": (per_batch[:2], torch.tensor(per_batch[:2]).log()),
}
against_size(lines, "examples in a batch", "mean entropy in nats")

# %% [markdown]
# Four examples fill at most four bins, so their entropy is at most log 4, whatever the unit does.
# The mean over many batches does not help: each is too low, and so is the mean. And each batch has
# its own bins, because the least and the greatest were taken from the batch.
#
# *Entropies do not add up. Counts do.* The repair is two passes: the first finds the range of each
# unit, the second adds up counts in the same bins; the entropy comes last, once. So the library
# does it:

# %%
twice = [pe.entropy(dense[0], half, bins, batch_size=size)["fc1"] for size in (4, 1000)]
print(f"the same in batches of 4 and of 1,000: {torch.allclose(*twice, atol=1e-5)}")

# %% [markdown]
# ## The cut
#
# At last, what a criterion is for: the lowest units go, without any repair. Ablation is in the
# figures as well, as a ranking.


# %%
def cuts(models, scored, truth, split):
    """Return the accuracies after the cuts by some criteria and by ablation: [networks, shares]."""
    lines = {"ablation": [after_cut(m, t, split) for m, t in zip(models, truth, strict=True)]}
    for name in ("output entropy", "entropy", "random"):
        lines[name] = [after_cut(m, s[name], split) for m, s in zip(models, scored, strict=True)]
    return {name: (shares, rows) for name, rows in lines.items()}


# %% tags=["nbval-ignore-output"]
axes = ("share of the units that went", "validation accuracy")
lines = cuts(dense, scored, needed, data.validation)
plotting.show(draw(lines, *axes, "clothes", percent="xy"))

# %% tags=["nbval-ignore-output"]
lines = cuts(dense_1d, scored_1d, needed_1d, waves.validation)
plotting.show(draw(lines, *axes, "MNIST-1D", percent="xy"))

# %% [markdown]
# On clothes, entropy looks like a fine criterion. On MNIST-1D, chance does better: the units that
# entropy wants to keep are not the ones that count. Had you tried it on one data set, you would
# have believed it, or thrown it away.
#
# ## The test set, once
#
# Half of the units go. Nothing is left to choose, so the test examples are read.

# %% tags=["nbval-ignore-output"]
read = {
    "clothes": cuts(dense, scored, needed, data.test),
    "MNIST-1D": cuts(dense_1d, scored_1d, needed_1d, waves.test),
}
for world, lines in read.items():
    for name, (_, rows) in lines.items():
        right = [100 * row[shares.index(0.5)] for row in rows]
        print(f"{world}, {name}: {min(right):.1f} to {max(right):.1f} % are right")

# %% [markdown]
# So, does a neuron that varies more know more? No: a random projection varies more than the unit
# that the network needs most, and knows less. Does one that knows more matter more? Not by itself:
# the network needs what others do not say. To find the needed units, ask the whole network. The
# next best is to mind how loud a unit speaks, which entropy forgets.
#
# ## Quiz

# %%
lesson.quiz("noise", answer="b")

# %%
lesson.quiz("ceiling", answer="c")

# %%
lesson.quiz("nan", answer="a")

# %% [markdown]
# ## Where it goes next
#
# - Luo, Wu: *An entropy-based pruning method for CNN compression* (2017). Read it for the score
#   that you wrote, and ask of it what you asked here: how many images, how many bins?
# - Hu, Peng, Tai, Tang: *Network trimming: a data-driven neuron pruning approach towards efficient
#   deep architectures* (2016). Read it for where in VGG-16 the zeros are, and for the training
#   after each cut.
# - Paninski: *Estimation of entropy and mutual information* (2003). Read the introduction and the
#   part on the bias: why the estimate is never simply right, and what no correction can do.
#
# Lesson 05 lets eight criteria compete, with training after the cut.
