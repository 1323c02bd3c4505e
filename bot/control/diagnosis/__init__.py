"""Why an instance does not go on: facts gathered, rules applied, situations explained."""
