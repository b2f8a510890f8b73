"""Encoders: one file per way to run a model, one contract in `base`."""
