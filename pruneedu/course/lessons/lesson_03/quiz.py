"""The quiz of lesson 03."""

from pruneedu.course.exercises import Choice, Question

QUIZ = {
    "price": Question(
        "Weight A is 0.01 and the gradient of the loss there is 5. Weight B is 2, with a gradient of 0.2. "
        "To first order, whose removal changes the loss more?",
        (
            Choice(
                "A: its gradient is 25 times as large.",
                "The gradient is a price for each unit of movement, and A moves by only 0.01.",
            ),
            Choice(
                "B: 2 · 0.2 is more than 0.01 · 5.",
                "A price times a distance: 0.4 against 0.05.",
                True,
            ),
            Choice(
                "Nobody can say without the data.",
                "The gradients have been computed from the data: that is all the first order needs.",
            ),
        ),
    ),
    "minimum": Question(
        "A network is trained to a minimum, and the gradient of the mean loss is zero for each of its "
        "weights. What follows for pruning?",
        (
            Choice(
                "Each weight can go: none of them changes the loss.",
                "None changes it for a *tiny* step. To be removed a weight goes all the way to zero.",
            ),
            Choice(
                "The pulls of the examples balance; how strong they are, the mean does not say.",
                "Their squares do: they do not cancel, and they say how curved the loss is.",
                True,
            ),
            Choice(
                "The gradients were computed on too few examples.",
                "With all training examples the mean is zero at a minimum; with few it is noise.",
            ),
        ),
    ),
    "twice": Question(
        "A criterion is called twice on the same network and the same data, and its scores differ. It calls "
        "`backward()` for each example and reads `weight.grad`. What is the likely reason?",
        (
            Choice(
                "Training has gone on between the calls.",
                "`backward()` computes gradients and moves no weight: there was no step.",
            ),
            Choice(
                "Gradients are rounded, and differ from call to call.",
                "Rounding would show in the seventh digit, and on a CPU not even there.",
            ),
            Choice(
                "The gradients of the first call are still in `.grad`.",
                "`backward()` adds to what is there. `torch.autograd.grad` leaves nothing behind.",
                True,
            ),
        ),
    ),
}
