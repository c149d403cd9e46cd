"""The quiz of lesson 06."""

from pruneedu.course.exercises import Choice, Question

QUIZ = {
    "copies": Question(
        "An input tells 0.4 nats about the class, and so does an exact copy of it. A third tells 0.2 "
        "nats of something else. You may keep two. What does a ranking by mutual information keep?",
        (
            Choice(
                "The input and the third: 0.6 nats.",
                "That would be the better pair. But a ranking looks at each input alone.",
            ),
            Choice(
                "The input and its copy: 0.4 nats.",
                "Both score 0.4. The ranking cannot know that the second tells nothing new.",
                True,
            ),
            Choice(
                "The input and its copy: 0.8 nats.",
                "What a copy tells is known already: the two together tell 0.4.",
            ),
        ),
    ),
    "columns": Question(
        "A network reads 64 pixels into 64 hidden units. You sum the scores of the first layer over dim=1 "
        "and drop the inputs with the lowest sums. What happens?",
        (
            Choice(
                "An error: the shapes do not fit.",
                "They do fit, because there are as many units as pixels. That is the trap.",
            ),
            Choice(
                "Pixels are dropped by the scores of units, and nothing complains.",
                "Row u belongs to unit u. With 64 of each, the wrong sum has the right shape.",
                True,
            ),
            Choice(
                "The same as with dim=0: the matrix is square.",
                "Square is not symmetric: a row and a column hold other weights.",
            ),
        ),
    ),
    "leak": Question(
        "You have 50 patients and 5,000 measurements. You keep the 20 measurements that separate the "
        "patients best, and then estimate the accuracy by cross-validation on these 20. Is it honest?",
        (
            Choice(
                "Yes: each patient is held out when it judges.",
                "It was held out from the classifier, not from the choice of the 20.",
            ),
            Choice(
                "Yes, if the classifier is simple enough.",
                "The simplest classifier profits as well: the choice has already seen the labels.",
            ),
            Choice(
                "No: the choice belongs inside the cross-validation.",
                "All that looks at labels is training, so it is done again in each fold.",
                True,
            ),
        ),
    ),
}
