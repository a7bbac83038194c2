"""Faults inflicted on real servers and processes, and what became of the incidents meanwhile: ``make faults``."""
