# docs: its part of the makefile.
dist_man_MANS += docs/atlas-sandbox.1
