"""Settings: `base` for everybody, then `dev` (default), `test` or `prod`. All come from the environment, read in one place."""
