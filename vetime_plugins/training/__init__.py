"""Training on synthetic series only: masked pretraining of both branches, then the full objective."""
