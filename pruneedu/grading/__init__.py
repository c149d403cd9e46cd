"""Grade a class: a folder of submitted notebooks in, a gradebook and pages of feedback out."""
