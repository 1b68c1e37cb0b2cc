# docs: its part of the makefile.
dist_doc_DATA += docs/DESIGN.md docs/DEPENDENCIES.md
