# tests/bench: its part of the makefile. Measurements, run by hand.
EXTRA_DIST += tests/bench/isolation.py
