"""The faults, one module for each family. Importing a module registers its faults."""
