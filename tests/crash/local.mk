# tests/crash: its part of the makefile.
