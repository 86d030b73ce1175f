"""The parts of the risk page as tables: the page shows them, CSV and JSON carry them. One module per subject, `registry` names all."""
