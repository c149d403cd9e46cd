"""The quiz of lesson 01."""

from pruneedu.course.exercises import Choice, Question

QUIZ = {
    "zeros": Question(
        "You train with an L1 penalty and plain SGD, ten times longer than in this lesson. How many "
        "weights are exactly zero?",
        (
            Choice(
                "More than before: given time, they arrive.",
                "They have arrived long ago, and step across zero again and again: each step has the "
                "same length, however near zero is.",
            ),
            Choice(
                "As good as none.",
                "The slope of |w| is as steep near zero as far from it, so a step does not end there.",
                True,
            ),
            Choice(
                "All those that the data do not need.",
                "Those come near zero. A proximal step, or a cut, is what puts them there.",
            ),
        ),
    ),
    "rate": Question(
        "The loss gets the penalty λ · Σ|w|, and plain SGD has the learning rate η. Which strength must "
        "the proximal step have after each step of SGD, to minimise the same thing?",
        (
            Choice(
                "λ: it is the same penalty.",
                "A step follows the slope λ over the distance η · λ. A threshold of λ goes 1/η times as "
                "far, and a network that trained well ends with no weight at all.",
            ),
            Choice(
                "λ / η: a small rate needs a strong penalty.",
                "The threshold is the distance of one step, and that is shorter with a small rate.",
            ),
            Choice(
                "η · λ: as far as the gradient step would go.",
                "The threshold is a distance, not a slope.",
                True,
            ),
        ),
    ),
    "budget": Question(
        "A device has room for exactly 500 weights. What does an L1 penalty alone give you?",
        (
            Choice(
                "About so many, after some searching; a cut gives exactly 500.",
                "A strength says how hard to push. A rank says how many stay.",
                True,
            ),
            Choice(
                "500 weights, with the right strength.",
                "Which strength that is you only learn by training with several. And training again, "
                "with another seed, gives another number.",
            ),
            Choice(
                "The 500 most important weights, which is more than a cut can say.",
                "It gives a balance of loss and size, and what stays is shortened as well.",
            ),
        ),
    ),
}
