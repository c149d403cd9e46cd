"""The quiz of lesson 05."""

from pruneedu.course.exercises import Choice, Question

QUIZ = {
    "pair": Question(
        "Two units say exactly the same, and the network needs one of them. What does ablation, one unit "
        "at a time, score for each?",
        (
            Choice(
                "Half of what the two are worth.",
                "Nobody divides here. Each is measured alone, while the other still speaks.",
            ),
            Choice(
                "Nothing, or nearly nothing.",
                "While one is out the other says it. So both look useless, and cutting by this "
                "ranking takes both.",
                True,
            ),
            Choice(
                "All that they are worth, each.",
                "That would be so if the network needed both at once.",
            ),
        ),
    ),
    "before": Question(
        "Right after the cut criterion A is 5 points ahead of B, with every seed. You will fine-tune. What "
        "do you know of the end?",
        (
            Choice(
                "A will be ahead by about 5 points.",
                "Fine-tuning gives back most of what a cut has cost, and not the same to all.",
            ),
            Choice(
                "A will be ahead, by less.",
                "In this lesson a criterion that led chance before fine-tuning was behind it after.",
            ),
            Choice(
                "Little: fine-tune both, and compare then.",
                "What you will use is the network after fine-tuning, so that is what you measure.",
                True,
            ),
        ),
    ),
    "rows": Question(
        "One hidden layer has 40 inputs, the next has 60. You sum the magnitudes of each unit's weights and "
        "rank the units of both layers together. What do the sums favour?",
        (
            Choice(
                "The units with more inputs.",
                "A sum of 60 numbers is larger than a sum of 40 of the same size. It ranks rows by "
                "their length.",
                True,
            ),
            Choice(
                "The units of the first layer, which see the data.",
                "The sum knows nothing of the data, only of how many weights there are.",
            ),
            Choice(
                "None: a magnitude is a magnitude.",
                "For single weights that is so. Here each score is a sum, and the sums have different "
                "numbers of terms.",
            ),
        ),
    ),
}
