"""Pure parts of the desk: which processes it has, when a fallen one is started again."""
