"""What the notebooks need: parameters, paths, provenance, figures, the ledger of claims."""
