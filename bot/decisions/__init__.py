"""A decision from its submission to the workflow's answer: intake, delivery, state cache."""
