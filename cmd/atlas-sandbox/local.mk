# cmd/atlas-sandbox: its part of the makefile.
