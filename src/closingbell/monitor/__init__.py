"""How the work goes, in figures that can be added up."""
