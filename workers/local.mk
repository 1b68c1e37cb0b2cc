# workers: its part of the makefile.
