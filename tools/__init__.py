"""Programs for the people who work on Countersign. Nothing of the product imports them, and no wheel carries them."""
