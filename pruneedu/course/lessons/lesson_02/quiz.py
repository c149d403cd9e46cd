"""The quiz of lesson 02."""

from pruneedu.course.exercises import Choice, Question

QUIZ = {
    "ties": Question(
        "Ten weights have the scores 1, 1, 1, 2, 2, 3, 4, 5, 6, 7. You ask for a sparsity of 0.2. How "
        "many must go?",
        (
            Choice(
                "Three: all that have the lowest score.",
                "Equal scores do not change what was asked.",
            ),
            Choice(
                "Two: the last two of the ones.",
                "round(0.2 · 10) = 2, and ties keep the earlier.",
                True,
            ),
            Choice(
                "None: no threshold separates two from the rest.", "Ranking needs no threshold."
            ),
        ),
    ),
    "clock": Question(
        "Nine of ten weights are zero now. Why is the network not faster?",
        (
            Choice(
                "Zeros are multiplied like any other number.",
                "The matrix keeps its shape, and the same multiplications run.",
                True,
            ),
            Choice(
                "PyTorch must first be told that the weights are constant.",
                "That changes nothing here.",
            ),
            Choice(
                "It is faster, but the clock is too coarse.",
                "The same multiplications run, so there is no gain that a finer clock could find.",
            ),
        ),
    ),
    "momentum": Question(
        "After a cut the same optimizer goes on, without masks. A weight was cut to zero, and its gradient "
        "is zero in the next step, too. Can it move?",
        (
            Choice(
                "No: no gradient, no change.", "The optimizer does not look at the gradient alone."
            ),
            Choice(
                "Yes: momentum still carries the steps from before the cut.",
                "The velocity of earlier steps decays slowly, so the mask is applied after each step.",
                True,
            ),
            Choice(
                "Only with weight decay.", "Weight decay pulls toward zero, where it already is."
            ),
        ),
    ),
}
