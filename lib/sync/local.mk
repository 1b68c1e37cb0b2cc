# lib/sync: its part of the makefile.
