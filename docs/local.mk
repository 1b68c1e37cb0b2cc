# docs: its part of the makefile.
