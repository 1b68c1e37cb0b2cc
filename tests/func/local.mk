# tests/func: its part of the makefile.
