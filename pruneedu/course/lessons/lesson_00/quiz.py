"""The quiz of lesson 00."""

from pruneedu.course.exercises import Choice, Question

QUIZ = {
    "sparsity": Question(
        "A layer has 200 weights, and you prune it to a sparsity of 0.9. How many weights stay?",
        (
            Choice(
                "180",
                "That many go. Sparsity is the fraction that goes, in every lesson and every plot.",
            ),
            Choice("20", "round(0.9 · 200) = 180 go, and 20 stay.", True),
            Choice(
                "It depends on how many lie below a threshold.",
                "There is no threshold: the weights are ranked, and exactly 180 go.",
            ),
        ),
    ),
    "sets": Question(
        "You try twenty sparsities and want to keep the best one. On which set do you compare them?",
        (
            Choice(
                "The training set: it is the largest.",
                "The network has seen these digits, so they flatter it.",
            ),
            Choice("The validation set.", "Every choice is made there.", True),
            Choice(
                "The test set: it is what counts in the end.",
                "The best of twenty would look better on it than it is: part of that is luck with these "
                "300 digits. Then no set is left to tell.",
            ),
        ),
    ),
    "stuck": Question(
        "You cannot solve an exercise, and a later cell needs its function. What now?",
        (
            Choice(
                "That cell fails until the exercise is solved.",
                "Nothing waits for you: `yours` holds the library's function for each open exercise.",
            ),
            Choice(
                "That cell is skipped.",
                "Every cell runs. `yours` holds the library's function for each open exercise.",
            ),
            Choice(
                "That cell uses the library's own function.",
                "`yours` holds it until your answer passes. You can come back at any time.",
                True,
            ),
        ),
    ),
}
