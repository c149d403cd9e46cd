"""The quiz of lesson 04."""

from pruneedu.course.exercises import Choice, Question

QUIZ = {
    "noise": Question(
        "A unit puts out pure noise, a new random number for each picture. From 200 pictures in 30 "
        "bins you measure 0.6 nats of mutual information with the class. What does the unit know?",
        (
            Choice(
                "0.6 nats, less than most units.",
                "It cannot: its number was drawn without a look at the picture.",
            ),
            Choice(
                "Nothing: with shuffled labels you would have measured about as much.",
                "300 pairs of a bin and a class hold 200 pictures, and chance looks like order.",
                True,
            ),
            Choice(
                "More than 0.6 nats: with few pictures the estimate is too low.",
                "The entropy comes out too low, but the information too high: what is subtracted, the "
                "entropy within the classes, is too low by more, since each class has fewer pictures.",
            ),
        ),
    ),
    "ceiling": Question(
        "You estimate entropies with 100 bins from 20 pictures. What is the highest that you can measure?",
        (
            Choice(
                "log 100 = 4.6 nats.", "That needs at least one picture in each of the 100 bins."
            ),
            Choice(
                "There is no limit: a unit can say any number.",
                "The histogram does not see the numbers, only the bins that they fall into.",
            ),
            Choice(
                "log 20 = 3.0 nats.",
                "Twenty pictures fill at most twenty bins, one each. The limit says nothing of the unit.",
                True,
            ),
        ),
    ),
    "nan": Question(
        "Somebody sums up p times log p and takes no care of empty bins. So the score of a dead unit, with "
        "one full bin and 29 empty ones, is nan. The scores are sorted, greatest first, and the first half "
        "of the units stays. What becomes of the dead unit?",
        (
            Choice(
                "It is kept, before all others.",
                "PyTorch sorts nan as if it were the greatest number. No error, and the wrong units go. "
                "`keep_top` refuses scores that are not finite.",
                True,
            ),
            Choice("It goes: its entropy is 0.", "It would be, with 0 · log 0 = 0. This is nan."),
            Choice(
                "There is an error, because nan cannot be compared.",
                "Comparisons with nan are false, and sorting goes on without a word.",
            ),
        ),
    ),
}
