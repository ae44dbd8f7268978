"""Translations of a whole test set, who is compared with whom, and intervals."""
