# tests/fuzz: its part of the makefile.
