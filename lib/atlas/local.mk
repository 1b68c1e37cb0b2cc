# lib/atlas: its part of the makefile.
