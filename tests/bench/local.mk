# tests/bench: its part of the makefile.
